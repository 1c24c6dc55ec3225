-- A line for each table: its name, how many rows it has, and a sum over their hashes, which does not depend on their
-- order. `backup` writes it down in the snapshot of the dump, and `restore` compares.
set bytea_output = 'hex';
set datestyle = 'ISO, YMD';
set timezone = 'UTC';
set extra_float_digits = 1;
-- An error, and not fewer rows, where row-level security would hide some.
set row_security = off;
select format(
    $$select %L, count(*), coalesce(sum(('x' || encode(substr(hash, 1, 8), 'hex'))::bit(64)::bigint), 0)
    from (select sha256(convert_to(whole_row::text, 'UTF8')) as hash from %I.%I whole_row) hashes$$,
    c.relname, n.nspname, c.relname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition
order by c.relname \gexec
