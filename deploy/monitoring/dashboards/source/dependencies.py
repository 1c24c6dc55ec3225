"""Do PostgreSQL, PgBouncer, Redis, executors, receivers and backups do their part?"""

from panels import OF, board, graph, number, query, rows, steps

UP = {"thresholds": steps(1, colours=("green",), base="red"), "runbook": "store-down"}


def made():
    now = [
        number("As processes see it", "1 if all that the service needs answers all of its processes.", "short",
               f"min(rulebox_dependency_up{{{OF}}})", runbook="dependency-down", thresholds=UP["thresholds"]),
        number("PostgreSQL", "1 if it answers its exporter.", "short", 'min(pg_up{job="rulebox-postgresql"})', **UP),
        number("PgBouncer", "1 if each answers its exporter.", "short", 'min(pgbouncer_up{job="rulebox-pgbouncer"})', **UP),
        number("Redis", "1 if each answers its exporter.", "short", 'min(redis_up{job="rulebox-redis"})', **UP),
        number("Outbox", "Deliveries that wait, and alerts that last, of the whole service.", "short",
               f"max(rulebox_outbox_backlog{{{OF}}})", thresholds=steps(1000, 10000)),
        number("Log not archived for", "Seconds since PostgreSQL's log was last archived, where it is. Normal: about a "
               "minute while anything is written.", "s",
               "max(time() - postgresql_archiver_last_success_timestamp_seconds and postgresql_archiver_enabled == 1)",
               runbook="postgresql-archiving", thresholds=steps(600, 1800)),
        graph("As processes see it", "`store`, `redis`, `executors`: the least over all processes. Warns at 0 for two minutes; pages if "
              "it is 0 for all of them.",
              "short", query(f"min by (dependency) (rulebox_dependency_up{{{OF}}})", "{{dependency}}"),
              runbook="dependency-down", most=1),
        graph("Connections of the service", "Of its own pools, by state. All used, and requests wait.", "short",
              query(f"sum by (state) (rulebox_db_pool_connections{{{OF}}})", "{{state}}"), runbook="dependency-down",
              stacked=True),
    ]
    postgresql = [
        graph("Connections", "Of clients, and what there may be. Warns at 85 %.", "short",
              query("postgresql_connections_used", "used"), query("postgresql_connections_most", "most"),
              query("postgresql_connections_waiting_for_locks", "waiting for locks"), runbook="postgresql-connections"),
        graph("Transactions", "Rolled back: timeouts, conflicts that are tried again, refused writes. Warns at a tenth.", "ops",
              query("rate(postgresql_database_commits_total[$__rate_interval])", "committed"),
              query("rate(postgresql_database_rollbacks_total[$__rate_interval])", "rolled back"),
              query("rate(postgresql_database_deadlocks_total[$__rate_interval])", "deadlocks"),
              runbook="postgresql-rollbacks"),
        graph("Oldest transaction", "Of clients. Normal: below a second. What is open holds up vacuum and the feed of "
              "violations; warns at five minutes.", "s",
              query("postgresql_transaction_oldest_seconds", "open"), query("postgresql_transaction_idle_seconds", "idle in it"),
              runbook="postgresql-long-transaction", lines=steps(60, 300)),
        graph("Standbys behind", "How long a commit is not seen there. Normal: below a second; warns at 30.", "s",
              query("postgresql_standby_lag_seconds", "{{standby}}"), runbook="postgresql-replication", lines=steps(10, 30)),
        graph("Standbys", "That follow, and of these such as a commit may wait for. If one is required and there is none, "
              "writes wait.", "short", query("postgresql_standbys_streaming", "follow"),
              query("postgresql_standbys_synchronous", "synchronous"), query("postgresql_standbys_required", "required"),
              runbook="postgresql-replication"),
        graph("Log archived", "Segments, and tries that failed. A minute without writes archives nothing.", "ops",
              query("rate(postgresql_archiver_archived_total[$__rate_interval])", "archived"),
              query("rate(postgresql_archiver_failed_total[$__rate_interval])", "failed"),
              query("postgresql_archiver_failing", "the last try failed"), runbook="postgresql-archiving"),
        graph("Log on disk", "All of it, and what is kept for slots whose reader is behind. Ends at `max_slot_wal_keep_size`.",
              "bytes", query("postgresql_wal_size_bytes", "log"), query("postgresql_slot_retained_bytes", "slot {{slot}}"),
              runbook="postgresql-disk"),
        graph("Found in memory", "Blocks that were in PostgreSQL's memory. Normal: above 99 %.", "percentunit",
              query("rate(postgresql_database_blocks_hit_total[$__rate_interval]) / "
                    "(rate(postgresql_database_blocks_hit_total[$__rate_interval]) + "
                    "rate(postgresql_database_blocks_read_total[$__rate_interval]))", "in memory"), most=1),
        graph("Size of the database", "And what sorting wrote to disk, a second.", "bytes",
              query("postgresql_database_size_bytes", "{{database}}"),
              query("rate(postgresql_database_temporary_bytes_total[$__rate_interval])", "temporary, a second"),
              runbook="postgresql-disk"),
        graph("Transactions until vacuum must have frozen", "Part of 2^31. Warns at a quarter: vacuum does not get through.",
              "percentunit", query("postgresql_database_oldest_transaction_id_age / 2^31", "used"),
              runbook="postgresql-long-transaction", lines=steps(0.15, 0.25)),
        rows("Largest tables", "With their indexes.", "bytes", "topk(10, postgresql_table_size_bytes)",
             hidden=("Time", "__name__", "job", "server", "instance")),
        rows("Dead rows", "Rows that vacuum has yet to remove. Normal: a twentieth of the table, and then they go.", "short",
             "topk(10, postgresql_table_dead_rows)",
             runbook="postgresql-long-transaction", hidden=("Time", "__name__", "job", "server", "instance")),
    ]
    pooler = [
        graph("Clients", "Linked to a server, and waiting for one. Waiting for long: `default_pool_size` is too small, or "
              "statements too slow.", "short",
              query("sum by (user) (pgbouncer_pools_client_active_connections)", "active, {{user}}"),
              query("sum by (user) (pgbouncer_pools_client_waiting_connections)", "waiting, {{user}}"),
              runbook="pgbouncer-waiting"),
        graph("Longest wait", "Of the clients that wait now. The service gives up after 5 s, PgBouncer after 10.", "s",
              query("max by (instance) (pgbouncer_pools_client_maxwait_seconds)", "{{instance}}"),
              runbook="pgbouncer-waiting", lines=steps(1, 3)),
        graph("Servers", "Connections to PostgreSQL: in use, and idle.", "short",
              query("sum by (instance) (pgbouncer_pools_server_active_connections)", "active, {{instance}}"),
              query("sum by (instance) (pgbouncer_pools_server_idle_connections)", "idle, {{instance}}")),
        graph("Clients, of what there may be", "One pooler must be able to take all, while another is away. Warns at 85 %.",
              "percentunit", query("instance:pgbouncer_clients:ratio", "{{instance}}"), runbook="pgbouncer-clients",
              lines=steps(0.7, 0.85)),
    ]
    redis = [
        graph("Memory", "What is used of `maxmemory`. Full is 503 for new sessions. Warns at 85 %.", "bytes",
              query("redis_memory_used_bytes", "{{instance}}"), query("redis_memory_max_bytes", "most, {{instance}}"),
              runbook="redis-memory"),
        graph("Commands", "By what they are: scripts of sessions and limits.", "ops",
              query("topk(8, sum by (cmd) (rate(redis_commands_total[$__rate_interval])))", "{{cmd}}"), stacked=True),
        graph("Time of a command", "Mean. A script of Rulebox takes well under a millisecond.", "s",
              query("topk(8, sum by (cmd) (rate(redis_commands_duration_seconds_total[$__rate_interval])) / "
                    "sum by (cmd) (rate(redis_commands_total[$__rate_interval])))", "{{cmd}}")),
        graph("Clients", "Connected, and refused because there were as many as there may be.", "short",
              query("redis_connected_clients", "connected, {{instance}}"),
              query("increase(redis_rejected_connections_total[$__rate_interval])", "refused, {{instance}}"),
              runbook="redis-rejected"),
        graph("Keys, thrown out and ended", "Thrown out must be 0: a session would be lost.", "short",
              query("sum by (instance) (redis_db_keys)", "keys, {{instance}}"),
              query("increase(redis_evicted_keys_total[$__rate_interval])", "thrown out, {{instance}}"),
              query("increase(redis_expired_keys_total[$__rate_interval])", "ended, {{instance}}"),
              runbook="redis-memory"),
        graph("Kept on disk", "1 if the last write of the log, its last rewriting and the last snapshot went well.", "short",
              query("redis_aof_last_write_status", "write, {{instance}}"),
              query("redis_aof_last_bgrewrite_status", "rewriting, {{instance}}"),
              query("redis_rdb_last_bgsave_status", "snapshot, {{instance}}"), runbook="redis-persistence", most=1),
        graph("Replicas", "Connected to the primary, and 1 if a replica has its primary.", "short",
              query("redis_connected_slaves", "replicas of {{instance}}"),
              query("redis_master_link_up", "link of {{instance}}"), runbook="redis-replica"),
        graph("Slow commands", "In its log of what took longer than 10 ms.", "short",
              query("redis_slowlog_length", "{{instance}}")),
    ]
    others = [
        graph("Webhooks", "Tries to deliver. What fails is tried again for days, and then `dead`.", "ops",
              query(f"sum by (result) (rate(rulebox_webhook_deliveries_total{{{OF}}}[$__rate_interval]))", "{{result}}")),
        graph("Alertmanager", "Pushes. Normal: none failed.", "ops",
              query(f"sum by (result) (rate(rulebox_alert_pushes_total{{{OF}}}[$__rate_interval]))", "{{result}}"),
              runbook="dependency-down"),
        graph("Outbox", "Of the whole service.", "short", query(f"max(rulebox_outbox_backlog{{{OF}}})", "waiting")),
        graph("Age of the last backup", "Pages at 26 hours.", "s",
              query(f"time() - (max(rulebox_backup_last_success_timestamp_seconds{{{OF}}}) > 0)", "age"),
              runbook="backup-too-old", lines=steps(25 * 3600, 26 * 3600)),
        graph("Restore test", "Since a backup was last restored on trial, and since that last failed. Warns at 8 days; pages if the "
              "failure is the later one.", "s",
              query(f"time() - (max(rulebox_restore_test_last_success_timestamp_seconds{{{OF}}}) > 0)", "succeeded"),
              query(f"time() - (max(rulebox_restore_test_last_failure_timestamp_seconds{{{OF}}}) > 0)", "failed"),
              runbook="restore-test-too-old", lines=steps(7 * 86400, 8 * 86400)),
    ]
    return board("dependencies", "Dependencies", "PostgreSQL, PgBouncer, Redis, executors, receivers, backups.", parts=[
        ("Does all answer?", now),
        ("Is PostgreSQL well?", postgresql),
        ("Does PgBouncer keep up?", pooler),
        ("Is Redis well?", redis),
        ("Is the outside told, and are there backups?", others),
    ])
