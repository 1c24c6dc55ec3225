-- With which programs these tables work, so that one of an earlier version may start over later tables. See README.md.
create table compatibility (
    id             bigint primary key check (id = 1),
    oldest_program bigint not null check (oldest_program >= 7) -- the number of the last migration that it knows
);
insert into compatibility (id, oldest_program) values (1, 7);

-- What was taken away does not come back.
create trigger compatibility_only_rises before update on compatibility
    for each row when (new.oldest_program < old.oldest_program)
    execute function refuse_change('the oldest program that the tables work with cannot become older');
create trigger compatibility_is_kept before delete on compatibility
    for each row execute function refuse_change('what the tables work with cannot be forgotten');
create trigger compatibility_is_not_emptied before truncate on compatibility
    for each statement execute function refuse_change('what the tables work with cannot be forgotten');

-- Not forced: migrations run as the owner, and write it. Everybody else reads.
alter table compatibility enable row level security;
create policy reads on compatibility for select to rulebox_app, rulebox_platform using (true);
grant select on compatibility to rulebox_app, rulebox_platform;
