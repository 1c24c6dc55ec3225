-- When a backup was last restored on trial, and held, and when one did not: alerts go by it.
alter table service add column restore_tested_at integer;
alter table service add column restore_failed_at integer;
