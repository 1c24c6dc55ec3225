-- How much of a tenant's versions is kept: changed with every version, so that an upload need not count them all.
create table stored (
    tenant_id blob    not null primary key references tenants (id),
    versions  integer not null check (versions >= 0),
    bytes     integer not null check (bytes >= 0) -- of texts, modules and manifests
) strict;
insert into stored (tenant_id, versions, bytes)
select tenant_id, count(*), sum(length(module) + length(cast(manifest as blob)) + coalesce(length(cast(source as blob)), 0))
from versions group by tenant_id;
