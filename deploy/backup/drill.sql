-- Rows for the drill: about 1,100 for each unit of `scale`, in every table, the same at every run but for the times that
-- the database itself writes. Texts have in them what goes wrong where texts are handled without care. With
-- `audit`, `tenants` tenants and entries of the audit log too, whose seals are no seals: without it, where the service has
-- made the tenants, and writes a log of its own.
\set ON_ERROR_STOP on
begin;
create function pg_temp.id(kind text, n bigint) returns uuid language sql immutable as
    $$ select md5(kind || n)::uuid $$;
create function pg_temp.bytes(n bigint, length int) returns bytea language sql immutable as
    $$ select substr(string_agg(sha256(int8send(n) || int4send(i)), '' order by i), 1, length) from generate_series(0, length / 32) i $$;
create function pg_temp.awkward(n bigint) returns text language sql immutable as
    $$ select (array[E'line\nbreak', E'tab\there', E'back\\slash \\N \\.', 'quote '' and "', 'Zürich 日本 𝄞', '', ' blank ', E'\r\n'])[n % 8 + 1] || n $$;

\if :audit
    insert into tenants select pg_temp.id('tenant', n), 'drill-' || n, n, '{"rules": 5}', nullif(n % 7, 0)
        from generate_series(1, :tenants) n;
\endif
select array_agg(id order by name) as ids from tenants \gset
create function pg_temp.tenant(n bigint) returns uuid language sql immutable return (:'ids'::uuid[])[n % :tenants + 1];
insert into api_keys (id, tenant_id, prefix, hash, roles, created_at, expires_at, revoked_at, name, created_by)
    select pg_temp.id('key', n), case when n % 9 > 0 then pg_temp.tenant(n) end, 'rb_' || n % 50,
        sha256(int8send(n)), 'author engine', n, nullif(n % 3, 0) * 9007199254740993, nullif(n % 5, 0), pg_temp.awkward(n), pg_temp.id('by', n)
    from generate_series(1, 20 * :scale) n;
insert into rules (tenant_id, name, created_at, archived_at, latest_version, active_version, revision)
    select pg_temp.tenant(n), 'rule_' || n, n, nullif(n % 4, 1), 2, 1 + n % 2, n
    from generate_series(1, 20 * :scale) n;
insert into versions
    select r.tenant_id, r.id, v, pg_temp.bytes(r.id * 2 + v, 32), r.id, pg_temp.id('by', r.id), '{"name": "rule"}',
        case when r.id % 3 > 0 then pg_temp.awkward(r.id) end, pg_temp.bytes(r.id * 2 + v, 200 + (r.id % 50)::int * 20)
    from rules r, generate_series(1, 2) v;
insert into activations (tenant_id, rule_id, version, at, by)
    select r.tenant_id, r.id, v, r.id, pg_temp.id('by', r.id) from rules r, generate_series(1, 2) v;
insert into violations (id, tenant_id, rule, version, digest, kind, severity, trap, fuel_used, fuel_limit, memory_peak, memory_limit,
        elapsed_us, request_id, trace_id, key_id, at, last_at, count, subject, detail, status, note, counts)
    select pg_temp.id('violation', n), case when n % 11 > 0 then pg_temp.tenant(n) end, 'rule_' || n, n,
        pg_temp.bytes(n, 32), 'out_of_fuel', (array['low', 'medium', 'high', 'critical'])[n % 4 + 1], nullif(pg_temp.awkward(n), ''),
        n, n, n, n, n, 'r' || n, 't' || n, pg_temp.id('key', n), n, n + 1, 1 + n % 5, 's', '{"a": 1}',
        (array['open', 'acknowledged', 'resolved'])[n % 3 + 1], nullif(pg_temp.awkward(n), 'line'), n % 2 = 0
    from generate_series(1, 200 * :scale) n;
insert into violation_windows select pg_temp.tenant(n), pg_temp.bytes(n, 32), pg_temp.id('violation', n), n
    from generate_series(1, 50 * :scale) n;
insert into quarantines select pg_temp.tenant(n), pg_temp.bytes(n, 32), 'rule_' || n, 1, pg_temp.awkward(n), n, pg_temp.id('by', n)
    from generate_series(1, 10 * :scale) n;
insert into requests select pg_temp.tenant(n), pg_temp.bytes(n, 32), pg_temp.bytes(-n, 32), pg_temp.id('token', n), n, n + 60000,
        nullif(n % 2, 0)::text, n, pg_temp.awkward(n)
    from generate_series(1, 100 * :scale) n;
insert into usage select pg_temp.tenant(n), (n / :tenants)::bigint * 3600000, pg_temp.id('counter', n), n, n, n, 9007199254740993, n
    from generate_series(1, 300 * :scale) n;
insert into stored select tenant_id, count(*), sum(length(module)) from versions group by tenant_id;
insert into webhooks (id, tenant_id, url, description, kinds, severity, secret, previous_secret, created_at, created_by)
    select pg_temp.id('webhook', n), pg_temp.tenant(n), 'https://example.com/' || n, pg_temp.awkward(n), '', 'low',
        pg_temp.bytes(n, 60), case when n % 2 = 0 then pg_temp.bytes(n, 60) end, n, pg_temp.id('by', n)
    from generate_series(1, 10 * :scale) n;
insert into outbox (id, tenant_id, kind, endpoint_id, violation_id, topic, payload, created_at, due_at, state, done_at)
    select pg_temp.id('outbox', n), pg_temp.tenant(n), 'webhook', pg_temp.id('webhook', n), pg_temp.id('violation', n),
        'violation.opened', '{"type": "violation.opened"}', n, n, case when n % 2 = 0 then 'pending' else 'delivered' end, nullif(n % 2, 0)
    from generate_series(1, 50 * :scale) n;
insert into security_events (tenant_id, topic, violation_id, at, body)
    select pg_temp.tenant(n), 'violation.opened', pg_temp.id('violation', n), n, '{}' from generate_series(1, 50 * :scale) n;
\if :audit
    insert into audit
        select pg_temp.tenant(n), n / :tenants + 1, n, pg_temp.id('by', n), 'key ' || n, 'rule.create', 'rule_' || n,
            '{"version": 1}', 'r' || n, pg_temp.bytes(n, 33)
        from generate_series(0, 200 * :scale - 1) n;
    insert into audit_heads (chain, seq, seal, at, change)
        select chain, max(seq), pg_temp.bytes(max(seq), 33), max(at), nextval('audit_changes') from audit group by chain;
\endif
commit;
analyze;
