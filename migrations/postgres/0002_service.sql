-- What the service keeps of itself: one row.
create table service (
    id           bigint primary key check (id = 1),
    secret_check bytea check (secret_check is null or length(secret_check) = 32), -- tells another master secret from the one of this store
    heartbeat_at bigint                                                           -- when readiness was last tried by a write
);
insert into service (id) values (1);
