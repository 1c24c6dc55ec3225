(func (export "rulebox_eval") (param $rows i32) (result i32)
  (i32.wrap_i64 (i64.rem_u (i64.const 1) (i64.const 0))))
