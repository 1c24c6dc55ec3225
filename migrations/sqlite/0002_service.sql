-- What the service keeps of itself: one row.
create table service (
    id           integer primary key check (id = 1),
    secret_check blob check (secret_check is null or length(secret_check) = 32), -- tells another master secret from the one of this store
    heartbeat_at integer                                                         -- when readiness was last tried by a write
) strict;
insert into service (id) values (1);
