-- Tenants, their keys, their rules with immutable versions, and what their modules did against their limits.
-- Times are milliseconds since 1970 in UTC, digests are the 32 bytes of a SHA-256. Numbers are 64 bits wide, as in the
-- embedded store. Who may see and do what stands in 0003.

create table tenants (
    id         uuid   not null primary key,
    name       text   not null unique collate "C", -- lists are by bytes, as in the embedded store
    created_at bigint not null
);

create table api_keys (
    id         uuid   not null primary key,
    tenant_id  uuid   not null references tenants (id),
    prefix     text   not null,                                   -- what lists show; several keys may share one
    hash       bytea  not null unique check (length(hash) = 32),  -- HMAC-SHA256 with the pepper
    roles      text   not null,                                   -- names, separated by blanks
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint
);
create index api_keys_prefix on api_keys (prefix);

create table rules (
    id             bigint generated always as identity primary key,
    tenant_id      uuid   not null references tenants (id),
    name           text   not null collate "C",
    created_at     bigint not null,
    archived_at    bigint,
    latest_version bigint not null check (latest_version >= 1),
    active_version bigint,
    unique (tenant_id, name),
    unique (tenant_id, id)
);

create table versions (
    tenant_id  uuid   not null,
    rule_id    bigint not null,
    number     bigint not null check (number >= 1),
    digest     bytea  not null check (length(digest) = 32), -- of the module
    created_at bigint not null,
    created_by uuid   not null,                             -- the key
    manifest   text   not null check (manifest::json is not null),
    source     text,                                        -- none for a module that was not compiled here
    module     bytea  not null,
    primary key (tenant_id, rule_id, number),
    foreign key (tenant_id, rule_id) references rules (tenant_id, id)
);
-- A module hardly shrinks, and is read whole.
alter table versions alter column module set storage external;

alter table rules add foreign key (tenant_id, id, active_version)
    references versions (tenant_id, rule_id, number) deferrable initially deferred;

-- For rows that nobody may change; the message is the trigger's argument.
create function refuse_change() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    raise exception '%', tg_argv[0] using errcode = 'restrict_violation';
end
$$;

create trigger versions_are_immutable before update on versions
    for each row execute function refuse_change('a version cannot be changed');
create trigger versions_are_kept before delete on versions
    for each row execute function refuse_change('a version cannot be deleted');
create trigger versions_are_not_emptied before truncate on versions
    for each statement execute function refuse_change('a version cannot be deleted');

-- Which version was active from when on, and who said so.
create table activations (
    id        bigint generated always as identity primary key,
    tenant_id uuid   not null,
    rule_id   bigint not null,
    version   bigint not null,
    at        bigint not null,
    by        uuid   not null,
    foreign key (tenant_id, rule_id, version) references versions (tenant_id, rule_id, number)
);

create trigger activations_are_immutable before update on activations
    for each row execute function refuse_change('an activation cannot be changed');
create trigger activations_are_kept before delete on activations
    for each row execute function refuse_change('an activation cannot be deleted');
create trigger activations_are_not_emptied before truncate on activations
    for each statement execute function refuse_change('an activation cannot be deleted');

-- Never holds rule text or inputs.
create table violations (
    id           uuid   not null primary key,
    tenant_id    uuid   not null references tenants (id),
    rule         text,
    version      bigint,
    digest       bytea  check (digest is null or length(digest) = 32),
    kind         text   not null,
    severity     text   not null check (severity in ('low', 'medium', 'high', 'critical')),
    trap         text,
    fuel_used    bigint not null,
    fuel_limit   bigint not null,
    memory_peak  bigint not null,
    memory_limit bigint not null,
    elapsed_us   bigint not null,
    request_id   text   not null,
    trace_id     text   not null,
    key_id       uuid,
    at           bigint not null,
    last_at      bigint not null, -- of the latest repeat
    count        bigint not null default 1 check (count >= 1)
);
create index violations_by_time on violations (tenant_id, at);
create index violations_open on violations (tenant_id, rule, version, kind, at);
