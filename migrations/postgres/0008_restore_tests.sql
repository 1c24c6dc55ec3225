-- When a backup was last restored on trial, and held, and when one did not: alerts go by it.
alter table service add column restore_tested_at bigint;
alter table service add column restore_failed_at bigint;
grant select (restore_tested_at, restore_failed_at), update (restore_tested_at, restore_failed_at) on service
    to rulebox_platform;
