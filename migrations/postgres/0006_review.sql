-- Violations are reviewed, told of, and stop modules by themselves. Then: who may see and do what, with every table.

-- What nobody's module did, but somebody to the service itself, is of no tenant.
alter table violations alter column tenant_id drop not null;
alter table violations add column subject    text not null default ''; -- beside rule, version, kind and digest: what it is about
alter table violations add column detail     text not null default '{}' check (detail::json is not null); -- evidence; no text of a tenant's
alter table violations add column status     text not null default 'open' check (status in ('open', 'acknowledged', 'resolved'));
alter table violations add column changed_at bigint; -- of the status
alter table violations add column changed_by text;   -- for people; the audit log has the id
alter table violations add column note       text;   -- of the reviewer
-- Towards the quarantine of its module; no more since the module was let go.
alter table violations add column counts     boolean not null default false;
drop index violations_by_time;
drop index violations_open;
create index violations_of_tenant on violations (tenant_id, at, id);
create index violations_of_all on violations (at, id);
create index violations_counted on violations (tenant_id, digest, last_at) where counts;
create index violations_unseen on violations (severity) where status = 'open';

-- To which violation a repeat belongs. Who inserts a row first opens the violation; everybody else waits, and adds to
-- it. Rows of other keys are locks: on the count of a module, and on the first refusal of a kind in a day.
create table violation_windows (
    owner        uuid   not null,                          -- a tenant; the nil id: the platform
    key          bytea  not null check (length(key) = 32), -- SHA-256 of rule, version, kind, digest and subject
    violation_id uuid   not null,
    at           bigint not null,                          -- when it was opened
    primary key (owner, key)
);
create index violation_windows_by_time on violation_windows (at);

-- What a reviewer must hear of, in the order in which it was committed: by the transaction, then by the number. A
-- reader takes only rows of transactions before the oldest that is still under way, so that none comes in behind its
-- back. A database that is restored into another server begins its transactions anew: then this table is emptied.
create table security_events (
    seq          bigint generated always as identity primary key,
    xid          xid8   not null default pg_current_xact_id(),
    tenant_id    uuid   references tenants (id), -- none: of the platform
    topic        text   not null,                -- `violation.opened`
    violation_id uuid,
    at           bigint not null,
    body         text   not null check (body::json is not null)
);
create index security_events_of_all on security_events (xid, seq);
create index security_events_of_tenant on security_events (tenant_id, xid, seq);
create index security_events_by_time on security_events (at);

-- Where a tenant wants to be told.
create table webhooks (
    id              uuid   not null primary key,
    tenant_id       uuid   not null references tenants (id),
    url             text   not null,
    description     text   not null,
    kinds           text   not null, -- names of kinds of violations, separated by blanks; empty: all
    severity        text   not null check (severity in ('low', 'medium', 'high', 'critical')), -- the least that is told
    secret          bytea  not null, -- sealed with a key of the master secret
    previous_secret bytea,           -- the one before it, for as long as both sign
    previous_until  bigint,
    created_at      bigint not null,
    created_by      uuid   not null,
    disabled_at     bigint
);
create index webhooks_of_tenant on webhooks (tenant_id, id);

-- What is to be told elsewhere. A row is written with what it tells of, in one transaction: so nothing is told that did
-- not happen, and nothing that happened is forgotten. Who delivers it takes a lease first.
create table outbox (
    id           uuid   not null primary key,         -- the same at every try: receivers know a repeat by it
    tenant_id    uuid   references tenants (id),      -- none: of the platform
    kind         text   not null check (kind in ('webhook', 'alert')),
    endpoint_id  uuid,                                -- of `webhooks`; none: an alert
    violation_id uuid,                                -- what it is about, if it is one
    topic        text   not null,                     -- `violation.opened`, `violation.resolved`, `rule.quarantined`, `rule.released`
    payload      text   not null check (payload::json is not null), -- {"type", "timestamp", "data"}
    created_at   bigint not null,
    due_at       bigint not null,                     -- not before
    tries        bigint not null default 0,           -- that failed
    state        text   not null default 'pending' check (state in ('pending', 'delivered', 'dead')),
    last_error   text,                                -- of the latest try that failed
    lease_until  bigint,                              -- somebody tries it until then
    lease_token  uuid,                                -- who
    done_at      bigint,                              -- delivered, or given up
    check ((kind = 'webhook') = (endpoint_id is not null)),
    check ((state = 'pending') = (done_at is null))
);
create index outbox_due on outbox (due_at, id) where state = 'pending' and kind = 'webhook';
create index outbox_alerts on outbox ((due_at > created_at), due_at, id) where state = 'pending' and kind = 'alert';
create index outbox_waiting on outbox (endpoint_id) where state = 'pending' and kind = 'webhook';
create index outbox_of_endpoint on outbox (tenant_id, endpoint_id, id);
create index outbox_of_violation on outbox (violation_id) where state = 'pending';
create index outbox_done on outbox (done_at) where done_at is not null;

alter table violation_windows enable row level security, force row level security;
alter table security_events   enable row level security, force row level security;
alter table webhooks          enable row level security, force row level security;
alter table outbox            enable row level security, force row level security;

-- The service, for one tenant at a time.
create policy app on violation_windows to rulebox_app
    using (owner = nullif(current_setting('app.tenant_id', true), '')::uuid)
    with check (owner = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy app on security_events to rulebox_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy app on webhooks to rulebox_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
create policy app on outbox to rulebox_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

-- A module is stopped in the transaction that records its last violation; to let it go remains the platform's.
grant insert on quarantines to rulebox_app;
grant select, insert, update (violation_id, at) on violation_windows to rulebox_app;
grant select, insert (tenant_id, topic, violation_id, at, body) on security_events to rulebox_app;
grant select, insert, update (url, description, kinds, severity, secret, previous_secret, previous_until, disabled_at),
    delete on webhooks to rulebox_app;
grant select, insert, update (due_at, tries, state, lease_until, lease_token, done_at) on outbox to rulebox_app;

-- What must cross tenants: review, and delivery. It opens no violation of a tenant's, and makes no webhook.
create policy platform_makes on violations for insert to rulebox_platform with check (tenant_id is null);
create policy platform_changes on violations for update to rulebox_platform using (true) with check (true);
create policy platform on violation_windows to rulebox_platform
    using (owner = '00000000-0000-0000-0000-000000000000')
    with check (owner = '00000000-0000-0000-0000-000000000000');
create policy platform_reads on violation_windows for select to rulebox_platform using (true);
create policy platform_removes on violation_windows for delete to rulebox_platform using (true);
create policy platform on security_events to rulebox_platform using (true) with check (true);
create policy platform_reads on webhooks for select to rulebox_platform using (true);
create policy platform on outbox to rulebox_platform using (true) with check (true);

revoke select (id, last_at) on violations from rulebox_platform;
grant select, insert, update (count, last_at, status, changed_at, changed_by, note, counts) on violations
    to rulebox_platform;
grant select, insert, update (violation_id, at), delete on violation_windows to rulebox_platform;
grant select, insert (tenant_id, topic, violation_id, at, body), delete on security_events to rulebox_platform;
grant select (id, tenant_id, kinds, severity, disabled_at) on webhooks to rulebox_platform; -- no address, no secret
grant select, insert, update (due_at, tries, state, last_error, lease_until, lease_token, done_at), delete on outbox
    to rulebox_platform;

-- When somebody last wrote down that a backup had succeeded: alerts go by it.
alter table service add column backup_at bigint;
grant select (id, backup_at), update (backup_at) on service to rulebox_platform;
