(func (export "rulebox_eval") (param $rows i32) (result i32)
  (i32.trunc_f64_s (f64.const nan)))
