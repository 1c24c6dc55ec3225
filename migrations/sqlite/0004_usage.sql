-- What tenants used, by the hour. Every row repeats a counter in the memory of one replica, which writes it again and
-- again until the hour is over: to write it once more changes nothing.
create table usage (
    tenant_id   blob    not null references tenants (id),
    hour        integer not null check (hour >= 0 and hour % 3600000 = 0), -- when it began
    counter     blob    not null check (length(counter) = 16),
    requests    integer not null check (requests >= 0),
    refused     integer not null check (refused >= 0),
    evaluations integer not null check (evaluations >= 0),
    bars        integer not null check (bars >= 0),
    fuel        integer not null check (fuel >= 0),
    primary key (tenant_id, hour, counter)
) strict, without rowid;
create index usage_by_hour on usage (hour);
