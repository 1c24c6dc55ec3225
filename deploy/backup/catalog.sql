-- What the database says beside its rows, a line each: owners, columns, constraints, indexes, triggers, row-level
-- security and its policies, functions, grants, and the roles. Passwords are not among it. `backup` writes it down, and
-- `restore` compares. What belongs to the logins of backups and of exporters is left out: a server may have none.
with
things as (
    select c.oid, c.relname::text as name, c.relkind, c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S')
),
tables as (select * from things where relkind in ('r', 'p')),
grants (on_what, owner, acl) as (
    select case relkind when 'S' then 'sequence ' else 'table ' end || name, relowner,
        coalesce(relacl, acldefault(case relkind when 'S' then 's'::"char" else 'r'::"char" end, relowner))
    from things
    union all
    select 'column ' || t.name || '.' || a.attname, t.relowner, a.attacl
    from tables t join pg_attribute a on a.attrelid = t.oid and a.attacl is not null and not a.attisdropped
    union all
    select 'function ' || p.oid::regprocedure, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
    from pg_proc p where p.pronamespace = 'public'::regnamespace
    union all
    select 'schema public', nspowner, coalesce(nspacl, acldefault('n', nspowner)) from pg_namespace where nspname = 'public'
    union all
    select 'database', datdba, coalesce(datacl, acldefault('d', datdba)) from pg_database where datname = current_database()
),
lines (line) as (
    select concat_ws(' ', 'relation', relkind, name, 'owner', pg_get_userbyid(relowner),
        case when relrowsecurity then 'row-level-security' end, case when relforcerowsecurity then 'forced' end)
    from things
    union all
    select concat_ws(' ', 'column', t.name || '.' || a.attname, format_type(a.atttypid, a.atttypmod),
        case when a.attnotnull then 'not null' end, nullif('identity ' || a.attidentity::text, 'identity '),
        'storage ' || a.attstorage::text, 'collation ' || (select collname from pg_collation where oid = a.attcollation),
        'default ' || pg_get_expr(d.adbin, d.adrelid))
    from tables t
        join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
        left join pg_attrdef d on d.adrelid = t.oid and d.adnum = a.attnum
    union all
    -- Later servers list NOT NULL here too; it stands with the columns.
    select concat_ws(' ', 'constraint', t.name, c.conname, pg_get_constraintdef(c.oid))
    from tables t join pg_constraint c on c.conrelid = t.oid and c.contype <> 'n'
    union all
    select concat_ws(' ', 'index', pg_get_indexdef(i.indexrelid)) from tables t join pg_index i on i.indrelid = t.oid
    union all
    select concat_ws(' ', 'trigger', g.tgenabled, pg_get_triggerdef(g.oid))
    from tables t join pg_trigger g on g.tgrelid = t.oid and not g.tgisinternal
    union all
    select concat_ws(' ', 'policy', tablename, policyname, permissive, roles, cmd, 'using', qual, 'check', with_check)
    from pg_policies where schemaname = 'public'
    union all
    select concat_ws(' ', 'function', p.oid::regprocedure, 'owner', pg_get_userbyid(p.proowner),
        case when p.prosecdef then 'security-definer' end, encode(sha256(convert_to(pg_get_functiondef(p.oid), 'UTF8')), 'hex'))
    from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prokind in ('f', 'p')
    union all
    select concat_ws(' ', 'grant', on_what, 'to', coalesce(nullif(pg_get_userbyid(g.grantee), 'unknown (OID=0)'), 'public'),
        g.privilege_type, case when g.is_grantable then 'grantable' end)
    from grants, aclexplode(acl) g
    where pg_get_userbyid(g.grantee) not in ('rulebox_backup', 'rulebox_monitor')
        -- Of every owner, from version 17 on.
        and not (g.privilege_type = 'MAINTAIN' and g.grantee = owner)
    union all
    select concat_ws(' ', 'database owner', pg_get_userbyid(datdba), 'encoding', pg_encoding_to_char(encoding))
    from pg_database where datname = current_database()
    union all
    select concat_ws(' ', 'role', rolname, case when rolsuper then 'superuser' end,
        case when rolbypassrls then 'bypassrls' end, case when rolcanlogin then 'login' end)
    from pg_roles where rolname like 'rulebox\_%' and rolname not in ('rulebox_backup', 'rulebox_monitor')
    union all
    select concat_ws(' ', 'member', m.member::regrole, 'of', m.roleid::regrole)
    from pg_auth_members m
    where m.member::regrole::text like 'rulebox\_%' and m.member::regrole::text not in ('rulebox_backup', 'rulebox_monitor')
)
select replace(line, E'\n', ' ') from lines group by line order by line collate "C";
