-- Violations are reviewed, told of, and stop modules by themselves.

-- Anew: what nobody's module did, but somebody to the service itself, is of no tenant. Nothing refers to the table.
create table reviewed (
    id           blob    not null primary key check (length(id) = 16),
    tenant_id    blob    references tenants (id), -- none: of the platform
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
    count        integer not null default 1 check (count >= 1),
    subject      text    not null default '', -- beside rule, version, kind and digest: what it is about
    detail       text    not null default '{}' check (json_valid(detail)), -- evidence; no text of a tenant's
    status       text    not null default 'open' check (status in ('open', 'acknowledged', 'resolved')),
    changed_at   integer, -- of the status
    changed_by   text,    -- for people; the audit log has the id
    note         text,    -- of the reviewer
    -- Towards the quarantine of its module; no more since the module was let go.
    counts       integer not null default 0 check (counts in (0, 1))
) strict;
insert into reviewed (id, tenant_id, rule, version, digest, kind, severity, trap, fuel_used, fuel_limit, memory_peak,
    memory_limit, elapsed_us, request_id, trace_id, key_id, at, last_at, count)
select id, tenant_id, rule, version, digest, kind, severity, trap, fuel_used, fuel_limit, memory_peak, memory_limit,
    elapsed_us, request_id, trace_id, key_id, at, last_at, count from violations;
drop table violations;
alter table reviewed rename to violations;
create index violations_of_tenant on violations (tenant_id, at, id);
create index violations_of_all on violations (at, id);
create index violations_by_last on violations (last_at);
create index violations_counted on violations (tenant_id, digest, last_at) where counts;
create index violations_unseen on violations (severity) where status = 'open';

-- To which violation a repeat belongs, and the first refusal of a kind in a day.
create table violation_windows (
    owner        blob    not null check (length(owner) = 16), -- a tenant; 16 zero bytes: the platform
    key          blob    not null check (length(key) = 32),   -- SHA-256 of rule, version, kind, digest and subject
    violation_id blob    not null check (length(violation_id) = 16),
    at           integer not null,                            -- when it was opened
    primary key (owner, key)
) strict, without rowid;
create index violation_windows_by_time on violation_windows (at);

-- What a reviewer must hear of, in the order in which it was committed: there is one writer at a time.
create table security_events (
    seq          integer not null primary key autoincrement,
    tenant_id    blob    references tenants (id), -- none: of the platform
    topic        text    not null,                -- `violation.opened`
    violation_id blob    check (violation_id is null or length(violation_id) = 16),
    at           integer not null,
    body         text    not null check (json_valid(body))
) strict;
create index security_events_of_tenant on security_events (tenant_id, seq);
create index security_events_by_time on security_events (at);

-- Where a tenant wants to be told.
create table webhooks (
    id              blob    not null primary key check (length(id) = 16),
    tenant_id       blob    not null references tenants (id),
    url             text    not null,
    description     text    not null,
    kinds           text    not null, -- names of kinds of violations, separated by blanks; empty: all
    severity        text    not null check (severity in ('low', 'medium', 'high', 'critical')), -- the least that is told
    secret          blob    not null, -- sealed with a key of the master secret
    previous_secret blob,             -- the one before it, for as long as both sign
    previous_until  integer,
    created_at      integer not null,
    created_by      blob    not null check (length(created_by) = 16),
    disabled_at     integer
) strict;
create index webhooks_of_tenant on webhooks (tenant_id, id);

-- What is to be told elsewhere. A row is written with what it tells of, in one transaction: so nothing is told that did
-- not happen, and nothing that happened is forgotten. Who delivers it takes a lease first.
create table outbox (
    id           blob    not null primary key check (length(id) = 16), -- the same at every try: receivers know a repeat by it
    tenant_id    blob    references tenants (id),     -- none: of the platform
    kind         text    not null check (kind in ('webhook', 'alert')),
    endpoint_id  blob    check (endpoint_id is null or length(endpoint_id) = 16), -- of `webhooks`; none: an alert
    violation_id blob    check (violation_id is null or length(violation_id) = 16), -- what it is about, if it is one
    topic        text    not null,                    -- `violation.opened`, `violation.resolved`, `rule.quarantined`, `rule.released`
    payload      text    not null check (json_valid(payload)), -- {"type", "timestamp", "data"}
    created_at   integer not null,
    due_at       integer not null,                    -- not before
    tries        integer not null default 0,          -- that failed
    state        text    not null default 'pending' check (state in ('pending', 'delivered', 'dead')),
    last_error   text,                                -- of the latest try that failed
    lease_until  integer,                             -- somebody tries it until then
    lease_token  blob    check (lease_token is null or length(lease_token) = 16), -- who
    done_at      integer,                             -- delivered, or given up
    check ((kind = 'webhook') = (endpoint_id is not null)),
    check ((state = 'pending') = (done_at is null))
) strict;
create index outbox_due on outbox (due_at, id) where state = 'pending' and kind = 'webhook';
create index outbox_alerts on outbox ((due_at > created_at), due_at, id) where state = 'pending' and kind = 'alert';
create index outbox_waiting on outbox (endpoint_id) where state = 'pending' and kind = 'webhook';
create index outbox_of_endpoint on outbox (tenant_id, endpoint_id, id);
create index outbox_of_violation on outbox (violation_id) where state = 'pending';
create index outbox_done on outbox (done_at) where done_at is not null;

-- When somebody last wrote down that a backup had succeeded: alerts go by it.
alter table service add column backup_at integer;
