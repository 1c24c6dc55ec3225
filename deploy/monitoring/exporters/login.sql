-- Makes the login of the exporter. Run once by a superuser, in the database of Rulebox:
--
--   export MONITOR=/run/secrets/monitor
--   psql --dbname=rulebox --file=- --file=deploy/monitoring/exporters/login.sql <<'END'
--   \set monitor_password `cat "$MONITOR"`
--   END
--
-- psql reads the password itself: arguments of a command are seen by everybody on the machine.
--
-- It reads statistics of the server (pg_monitor), may have three connections, and no row of any table. Its queries end after
-- five seconds: what watches must not be what weighs.
\set ON_ERROR_STOP on
select format('create role rulebox_monitor login connection limit 3 in role pg_monitor password %L', :'monitor_password')
where not exists (select from pg_roles where rolname = 'rulebox_monitor') \gexec
alter role rulebox_monitor set statement_timeout = '5s';
alter role rulebox_monitor set default_transaction_read_only = on;
select format('grant connect on database %I to rulebox_monitor', current_database()) \gexec
