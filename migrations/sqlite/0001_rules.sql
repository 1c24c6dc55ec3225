-- Tenants, their keys, their rules with immutable versions, and what their modules did against their limits.
-- Ids are 16-byte UUIDs, times are milliseconds since 1970 in UTC, digests are the 32 bytes of a SHA-256.

create table tenants (
    id         blob    not null primary key check (length(id) = 16),
    name       text    not null unique,
    created_at integer not null
) strict;

create table api_keys (
    id         blob    not null primary key check (length(id) = 16),
    tenant_id  blob    not null references tenants (id),
    prefix     text    not null,                             -- what lists show; several keys may share one
    hash       blob    not null unique check (length(hash) = 32), -- HMAC-SHA256 with the pepper
    roles      text    not null,                             -- names, separated by blanks
    created_at integer not null,
    expires_at integer,
    revoked_at integer
) strict;
create index api_keys_prefix on api_keys (prefix);

create table rules (
    id             integer primary key,
    tenant_id      blob    not null references tenants (id),
    name           text    not null,
    created_at     integer not null,
    archived_at    integer,
    latest_version integer not null check (latest_version >= 1),
    active_version integer,
    unique (tenant_id, name),
    unique (tenant_id, id),
    foreign key (tenant_id, id, active_version) references versions (tenant_id, rule_id, number) deferrable initially deferred
) strict;

create table versions (
    tenant_id    blob    not null,
    rule_id      integer not null,
    number       integer not null check (number >= 1),
    digest       blob    not null check (length(digest) = 32), -- of the module
    created_at   integer not null,
    created_by   blob    not null,                             -- the key
    manifest     text    not null check (json_valid(manifest)),
    source       text,                                         -- none for a module that was not compiled here
    module       blob    not null,
    primary key (tenant_id, rule_id, number),
    foreign key (tenant_id, rule_id) references rules (tenant_id, id)
) strict;

create trigger versions_are_immutable before update on versions
begin select raise(abort, 'a version cannot be changed'); end;
create trigger versions_are_kept before delete on versions
begin select raise(abort, 'a version cannot be deleted'); end;

-- Which version was active from when on, and who said so.
create table activations (
    id        integer primary key,
    tenant_id blob    not null,
    rule_id   integer not null,
    version   integer not null,
    at        integer not null,
    by        blob    not null,
    foreign key (tenant_id, rule_id, version) references versions (tenant_id, rule_id, number)
) strict;

create trigger activations_are_immutable before update on activations
begin select raise(abort, 'an activation cannot be changed'); end;
create trigger activations_are_kept before delete on activations
begin select raise(abort, 'an activation cannot be deleted'); end;

-- Never holds rule text or inputs.
create table violations (
    id           blob    not null primary key check (length(id) = 16),
    tenant_id    blob    not null references tenants (id),
    rule         text,
    version      integer,
    digest       blob    check (digest is null or length(digest) = 32),
    kind         text    not null,
    severity     text    not null check (severity in ('low', 'medium', 'high', 'critical')),
    trap         text,
    fuel_used    integer not null,
    fuel_limit   integer not null,
    memory_peak  integer not null,
    memory_limit integer not null,
    elapsed_us   integer not null,
    request_id   text    not null,
    trace_id     text    not null,
    key_id       blob,
    at           integer not null,
    last_at      integer not null, -- of the latest repeat
    count        integer not null default 1 check (count >= 1)
) strict;
create index violations_by_time on violations (tenant_id, at);
create index violations_open on violations (tenant_id, rule, version, kind, at);
