-- Many tenants: their limits, keys of the platform, the audit log, modules in quarantine, and requests that may be
-- sent again.

alter table tenants add column limits text not null default '{}' check (json_valid(limits));
alter table tenants add column suspended_at integer;

-- Counts the changes of a rule, for the caller who says which one he has seen.
alter table rules add column revision integer not null default 1 check (revision >= 1);

-- Anew: a key of the platform has no tenant. Nothing refers to the table.
create table keys (
    id         blob    not null primary key check (length(id) = 16),
    tenant_id  blob    references tenants (id),              -- none: of the platform
    name       text    not null,
    prefix     text    not null,                             -- what lists show; several keys may share one
    hash       blob    not null unique check (length(hash) = 32), -- HMAC-SHA256 with the pepper
    roles      text    not null,                             -- names, separated by blanks
    created_at integer not null,
    created_by blob    not null check (length(created_by) = 16),
    expires_at integer,
    revoked_at integer
) strict;
insert into keys (id, tenant_id, name, prefix, hash, roles, created_at, created_by, expires_at, revoked_at)
select id, tenant_id, 'first', prefix, hash, roles, created_at, zeroblob(16), expires_at, revoked_at from api_keys;
drop table api_keys;
alter table keys rename to api_keys;
create index api_keys_prefix on api_keys (prefix);
create index api_keys_tenant on api_keys (tenant_id, id);

-- Who did what. The entries of a chain (a tenant's; of 16 zero bytes, the platform's) are sealed one after the other.
create table audit (
    chain      blob    not null check (length(chain) = 16),
    seq        integer not null check (seq >= 1),
    at         integer not null,
    actor_id   blob    not null check (length(actor_id) = 16),
    actor      text    not null,
    action     text    not null,
    object     text    not null,
    detail     text    not null check (json_valid(detail)),
    request_id text    not null,
    seal       blob    not null check (length(seal) = 33),
    primary key (chain, seq)
) strict, without rowid;
create index audit_by_time on audit (chain, at);

create table audit_heads (
    chain         blob    not null primary key check (length(chain) = 16),
    seq           integer not null,
    seal          blob    not null check (length(seal) = 33),
    at            integer not null,
    change        integer not null unique,                        -- grows over all chains: tells replicas what to look at anew
    removed_seq   integer not null default 0,                     -- the last entry that retention removed
    removed_seal  blob    not null default (zeroblob(33)) check (length(removed_seal) = 33),
    removed_proof blob    not null default (zeroblob(33)) check (length(removed_proof) = 33)
) strict;

create trigger audit_is_immutable before update on audit
begin select raise(abort, 'an entry of the audit log cannot be changed'); end;
create trigger audit_is_kept before delete on audit
when old.seq > coalesce((select removed_seq from audit_heads where chain = old.chain), 0)
begin select raise(abort, 'an entry of the audit log cannot be deleted'); end;

create table quarantines (
    tenant_id blob    not null references tenants (id),
    digest    blob    not null check (length(digest) = 32), -- of the module, under whatever name or version
    rule      text    not null,
    version   integer not null,
    reason    text    not null,
    at        integer not null,
    by        blob    not null check (length(by) = 16),
    primary key (tenant_id, digest)
) strict;

create table requests (
    owner       blob    not null check (length(owner) = 16),       -- a tenant; 16 zero bytes: the platform
    key         blob    not null check (length(key) = 32),         -- SHA-256 of the Idempotency-Key
    request     blob    not null check (length(request) = 32),     -- SHA-256 of method, address and body
    token       blob    not null check (length(token) = 16),       -- of the try that may end it
    begun_at    integer not null,
    lease_until integer not null,
    subject     text,                                              -- once it is done: what it made
    number      integer,
    detail      text,
    primary key (owner, key)
) strict;
create index requests_by_time on requests (begun_at);
create index violations_by_last on violations (last_at);
