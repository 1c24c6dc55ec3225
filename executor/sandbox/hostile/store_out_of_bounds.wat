;; Writes across the end.
(func (export "rulebox_eval") (param $rows i32) (result i32)
  (i64.store (i32.const 131068) (i64.const -1))
  (i32.const 0))
