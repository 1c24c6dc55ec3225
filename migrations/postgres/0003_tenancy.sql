-- Many tenants: their limits, keys of the platform, the audit log, modules in quarantine, and requests that may be
-- sent again. Then: who may see and do what, with every table.

alter table tenants add column limits text not null default '{}' check (limits::json is not null);
alter table tenants add column suspended_at bigint;

-- Counts the changes of a rule, for the caller who says which one he has seen.
alter table rules add column revision bigint not null default 1 check (revision >= 1);

-- A key of the platform has no tenant.
alter table api_keys alter column tenant_id drop not null;
alter table api_keys add column name text not null default 'first';
alter table api_keys alter column name drop default;
alter table api_keys add column created_by uuid not null default '00000000-0000-0000-0000-000000000000';
alter table api_keys alter column created_by drop default;
create index api_keys_tenant on api_keys (tenant_id, id);

-- Who did what. The entries of a chain (a tenant's; of the nil id, the platform's) are sealed one after the other.
create table audit (
    chain      uuid   not null,
    seq        bigint not null check (seq >= 1),
    at         bigint not null,
    actor_id   uuid   not null,
    actor      text   not null,
    action     text   not null,
    object     text   not null,
    detail     text   not null check (detail::json is not null),
    request_id text   not null,
    seal       bytea  not null check (length(seal) = 33),
    primary key (chain, seq)
);
create index audit_by_time on audit (chain, at);

create table audit_heads (
    chain         uuid   not null primary key,
    seq           bigint not null,
    seal          bytea  not null check (length(seal) = 33),
    at            bigint not null,
    change        bigint not null unique,     -- grows over all chains: tells replicas what to look at anew
    removed_seq   bigint not null default 0,  -- the last entry that retention removed
    removed_seal  bytea  not null default decode(repeat('00', 33), 'hex') check (length(removed_seal) = 33),
    removed_proof bytea  not null default decode(repeat('00', 33), 'hex') check (length(removed_proof) = 33)
);
create sequence audit_changes;

create trigger audit_is_immutable before update on audit
    for each row execute function refuse_change('an entry of the audit log cannot be changed');
create function refuse_removal_of_audit() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if old.seq > coalesce((select removed_seq from public.audit_heads where chain = old.chain), 0) then
        raise exception 'an entry of the audit log cannot be deleted' using errcode = 'restrict_violation';
    end if;
    return old;
end
$$;
create trigger audit_is_kept before delete on audit for each row execute function refuse_removal_of_audit();
create trigger audit_is_not_emptied before truncate on audit
    for each statement execute function refuse_change('an entry of the audit log cannot be deleted');

create table quarantines (
    tenant_id uuid   not null references tenants (id),
    digest    bytea  not null check (length(digest) = 32), -- of the module, under whatever name or version
    rule      text   not null,
    version   bigint not null,
    reason    text   not null,
    at        bigint not null,
    by        uuid   not null,
    primary key (tenant_id, digest)
);

create table requests (
    owner       uuid   not null,                               -- a tenant; the nil id: the platform
    key         bytea  not null check (length(key) = 32),      -- SHA-256 of the Idempotency-Key
    request     bytea  not null check (length(request) = 32),  -- SHA-256 of method, address and body
    token       uuid   not null,                               -- of the try that may end it
    begun_at    bigint not null,
    lease_until bigint not null,
    subject     text,                                          -- once it is done: what it made
    number      bigint,
    detail      text,
    primary key (owner, key)
);
create index requests_by_time on requests (begun_at);
create index violations_by_last on violations (last_at);

-- Roles. They are the server's, not the database's: another database, or a migration of one at this very moment, may
-- have made them. An operator grants the first to the login of the service, and the second to that of what must cross
-- tenants; nobody is ever given the third, which owns one function.
do $$
declare
    name text;
begin
    foreach name in array array['rulebox_app', 'rulebox_platform', 'rulebox_lookup'] loop
        if not exists (select from pg_roles where rolname = name) then
            begin
                execute format('create role %I nologin', name);
            exception when duplicate_object or unique_violation then
                null; -- Somebody else was quicker.
            end;
        end if;
    end loop;
end
$$;

grant usage on schema public to rulebox_app, rulebox_platform, rulebox_lookup;
-- Start-up reads whether there is a migration that this database lacks.
grant select on _sqlx_migrations to rulebox_app, rulebox_platform;

-- Row-level security holds for the owner of the tables too. A later migration that changes rows, and is not run by a
-- superuser, lifts `force` for as long as its own transaction.
alter table tenants     enable row level security, force row level security;
alter table api_keys    enable row level security, force row level security;
alter table rules       enable row level security, force row level security;
alter table versions    enable row level security, force row level security;
alter table activations enable row level security, force row level security;
alter table violations  enable row level security, force row level security;
alter table audit       enable row level security, force row level security;
alter table audit_heads enable row level security, force row level security;
alter table quarantines enable row level security, force row level security;
alter table requests    enable row level security, force row level security;

-- The service, for one tenant at a time: the one that the transaction names, or else none.
create policy app on tenants to rulebox_app
    using (id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    with check (id = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy app on api_keys to rulebox_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy app on rules to rulebox_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy app on versions to rulebox_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy app on activations to rulebox_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy app on violations to rulebox_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy app on audit to rulebox_app
    using (chain = nullif(current_setting('app.tenant_id', true), '')::uuid)
    with check (chain = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy app on audit_heads to rulebox_app
    using (chain = nullif(current_setting('app.tenant_id', true), '')::uuid)
    with check (chain = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy app on quarantines to rulebox_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy app on requests to rulebox_app
    using (owner = nullif(current_setting('app.tenant_id', true), '')::uuid)
    with check (owner = nullif(current_setting('app.tenant_id', true), '')::uuid);

grant select on tenants, quarantines to rulebox_app;
grant select, insert, update (revoked_at) on api_keys to rulebox_app;
grant select, insert, update (archived_at, latest_version, active_version, revision) on rules to rulebox_app;
grant select, insert on versions to rulebox_app;
grant insert on activations to rulebox_app;
grant select, insert, update (count, last_at) on violations to rulebox_app;
grant select, insert on audit to rulebox_app;
grant select, insert (chain, seq, seal, at, change), update (seq, seal, at, change) on audit_heads to rulebox_app;
grant select, insert, update (token, lease_until, subject, number, detail), delete on requests to rulebox_app;
grant select, update (secret_check, heartbeat_at) on service to rulebox_app;
grant usage on sequence audit_changes to rulebox_app;

-- What must cross tenants. It reads no source and no module, makes no rule, and changes no entry of the audit log.
create policy platform_reads on tenants for select to rulebox_platform using (true);
create policy platform_makes on tenants for insert to rulebox_platform with check (true);
create policy platform_changes on tenants for update to rulebox_platform using (true) with check (true);
create policy platform on api_keys to rulebox_platform using (true) with check (true);
create policy platform_reads on rules for select to rulebox_platform using (true);
create policy platform_reads on versions for select to rulebox_platform using (true);
create policy platform_reads on violations for select to rulebox_platform using (true);
create policy platform_removes on violations for delete to rulebox_platform using (true);
create policy platform_reads on audit for select to rulebox_platform using (true);
create policy platform_makes on audit for insert to rulebox_platform with check (true);
create policy platform_removes on audit for delete to rulebox_platform using (true);
create policy platform_reads on audit_heads for select to rulebox_platform using (true);
create policy platform_makes on audit_heads for insert to rulebox_platform with check (true);
create policy platform_changes on audit_heads for update to rulebox_platform using (true) with check (true);
create policy platform_reads on quarantines for select to rulebox_platform using (true);
create policy platform_makes on quarantines for insert to rulebox_platform with check (true);
create policy platform_removes on quarantines for delete to rulebox_platform using (true);
-- Its own requests; of the others', that they are old.
create policy platform on requests to rulebox_platform
    using (owner = '00000000-0000-0000-0000-000000000000')
    with check (owner = '00000000-0000-0000-0000-000000000000');
create policy platform_reads on requests for select to rulebox_platform using (true);
create policy platform_removes on requests for delete to rulebox_platform using (true);

grant select, insert (id, name, created_at, limits), update (limits, suspended_at) on tenants to rulebox_platform;
grant select, insert, update (revoked_at), delete on api_keys to rulebox_platform;
grant select on rules to rulebox_platform;
grant select (tenant_id, rule_id, number, digest, created_at, manifest) on versions to rulebox_platform;
grant select (id, last_at), delete on violations to rulebox_platform;
grant select, insert, delete on audit to rulebox_platform;
grant select, insert (chain, seq, seal, at, change),
    update (seq, seal, at, change, removed_seq, removed_seal, removed_proof) on audit_heads to rulebox_platform;
grant select, insert, delete on quarantines to rulebox_platform;
grant select, insert, update (token, lease_until, subject, number, detail), delete on requests to rulebox_platform;
grant usage on sequence audit_changes to rulebox_platform;

-- The keys of a prefix, before it is known whose they are. It runs as a role that may see these columns and no more.
create policy lookup on tenants for select to rulebox_lookup using (true);
create policy lookup on api_keys for select to rulebox_lookup using (true);
grant select (id, suspended_at) on tenants to rulebox_lookup;
grant select on api_keys to rulebox_lookup;
create function keys_by_prefix(wanted text)
returns table (
    id uuid, tenant_id uuid, name text, prefix text, hash bytea, roles text, created_at bigint, created_by uuid,
    expires_at bigint, revoked_at bigint
)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select k.id, k.tenant_id, k.name, k.prefix, k.hash, k.roles, k.created_at, k.created_by, k.expires_at, k.revoked_at
    from public.api_keys k left join public.tenants t on t.id = k.tenant_id
    where k.prefix = wanted and t.suspended_at is null limit 16
$$;
revoke all on function keys_by_prefix (text) from public;
grant execute on function keys_by_prefix (text) to rulebox_app;
-- Whoever gives a function away must be a member of its new owner, which must be allowed to make one.
do $$
begin
    if not pg_has_role(current_user, 'rulebox_lookup', 'member') then
        grant rulebox_lookup to current_user;
    end if;
end
$$;
grant create on schema public to rulebox_lookup;
alter function keys_by_prefix (text) owner to rulebox_lookup;
revoke create on schema public from rulebox_lookup;
