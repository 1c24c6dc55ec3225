-- What tenants used, by the hour. Every row repeats a counter in the memory of one replica, which writes it again and
-- again until the hour is over: to write it once more changes nothing.
create table usage (
    tenant_id   uuid   not null references tenants (id),
    hour        bigint not null check (hour >= 0 and hour % 3600000 = 0), -- when it began
    counter     uuid   not null,
    requests    bigint not null check (requests >= 0),
    refused     bigint not null check (refused >= 0),
    evaluations bigint not null check (evaluations >= 0),
    bars        bigint not null check (bars >= 0),
    fuel        bigint not null check (fuel >= 0),
    primary key (tenant_id, hour, counter)
);
create index usage_by_hour on usage (hour);

alter table usage enable row level security, force row level security;

-- The service reads one tenant's. The counters of all tenants are written at once, by what may cross tenants; so a
-- tenant's transaction cannot change what is on its bill.
create policy app on usage to rulebox_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
grant select on usage to rulebox_app;
create policy platform on usage to rulebox_platform using (true) with check (true);
grant select, insert, update (requests, refused, evaluations, bars, fuel), delete on usage to rulebox_platform;
