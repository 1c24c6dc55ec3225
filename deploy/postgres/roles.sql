-- Makes the logins and the database of Rulebox. Run once by a superuser, or by whoever may make roles and databases:
--
--   export OWNER=/run/secrets/owner SERVICE=/run/secrets/service PLATFORM=/run/secrets/platform
--   psql --dbname=postgres --file=- --file=deploy/postgres/roles.sql <<'END'
--   \set owner_password `cat "$OWNER"`
--   \set service_password `cat "$SERVICE"`
--   \set platform_password `cat "$PLATFORM"`
--   END
--
-- psql reads the passwords itself: arguments of a command are seen by everybody on the machine. `--set=database=…` gives the database another name.
\set ON_ERROR_STOP on
\if :{?database}
\else
    \set database rulebox
\endif

-- What may be done, without a login. The migrations would make them too, if their login may make roles.
create role rulebox_app nologin;      -- the service, for one tenant at a time
create role rulebox_platform nologin; -- what must cross tenants
create role rulebox_lookup nologin;   -- owns one function; nobody is a member but who migrates

-- Who logs in. Row-level security holds for each of them: none is a superuser, none bypasses it.
create role rulebox_owner login password :'owner_password' in role rulebox_lookup;      -- RULEBOX_DATABASE__MIGRATE_URL
create role rulebox_service login password :'service_password' in role rulebox_app;     -- RULEBOX_DATABASE__URL
create role rulebox_review login password :'platform_password' in role rulebox_platform; -- RULEBOX_DATABASE__PLATFORM_URL

create database :"database" owner rulebox_owner;
revoke all on database :"database" from public;
grant connect on database :"database" to rulebox_service, rulebox_review;
