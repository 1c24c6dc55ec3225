-- Makes the login that backups are made by. Run once by a superuser, in the database of Rulebox:
--
--   export BACKUP=/run/secrets/backup
--   psql --dbname=rulebox --file=- --file=deploy/backup/login.sql <<'END'
--   \set backup_password `cat "$BACKUP"`
--   END
--
-- psql reads the password itself: arguments of a command are seen by everybody on the machine.
--
-- It reads every tenant's rows, texts and modules, and changes none: whoever has its password has them all. The service
-- never has it, and refuses to start with a login such as this one.
\set ON_ERROR_STOP on
select format('create role rulebox_backup login bypassrls connection limit 10 in role pg_read_all_data password %L',
    :'backup_password')
where not exists (select from pg_roles where rolname = 'rulebox_backup') \gexec
select format('grant connect on database %I to rulebox_backup', current_database()) \gexec
