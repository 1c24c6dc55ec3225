-- With which programs these tables work, so that one of an earlier version may start over later tables. See README.md.
create table compatibility (
    id             integer primary key check (id = 1),
    oldest_program integer not null check (oldest_program >= 7) -- the number of the last migration that it knows
) strict;
insert into compatibility (id, oldest_program) values (1, 7);

-- What was taken away does not come back.
create trigger compatibility_only_rises before update on compatibility
when new.oldest_program < old.oldest_program
begin select raise(abort, 'the oldest program that the tables work with cannot become older'); end;
create trigger compatibility_is_kept before delete on compatibility
begin select raise(abort, 'what the tables work with cannot be forgotten'); end;
