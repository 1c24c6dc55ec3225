-- How much of a tenant's versions is kept: changed with every version, so that an upload need not count them all.
create table stored (
    tenant_id uuid   not null primary key references tenants (id),
    versions  bigint not null check (versions >= 0),
    bytes     bigint not null check (bytes >= 0) -- of texts, modules and manifests
);

-- Whoever migrates is no superuser, and counts the versions of all tenants. Nobody adds one meanwhile.
alter table versions no force row level security;
lock table versions in share row exclusive mode;
insert into stored (tenant_id, versions, bytes)
select tenant_id, count(*), sum(octet_length(module) + octet_length(manifest) + coalesce(octet_length(source), 0))
from versions group by tenant_id;
alter table versions force row level security;

alter table stored enable row level security, force row level security;
create policy app on stored to rulebox_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
grant select, insert, update (versions, bytes) on stored to rulebox_app;
