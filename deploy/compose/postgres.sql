-- At the first start: the logins and the database, with passwords from files, so that they are no arguments of a process.
\set ON_ERROR_STOP on
\set owner_password `cat /run/secrets/owner_password`
\set service_password `cat /run/secrets/service_password`
\set platform_password `cat /run/secrets/platform_password`
\set backup_password `cat /run/secrets/backup_password`
\i /etc/rulebox/roles.sql
\connect rulebox
\i /etc/rulebox/login.sql
