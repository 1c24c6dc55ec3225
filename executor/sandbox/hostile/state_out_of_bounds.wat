(func (export "rulebox_state") (result i64)
  (i64.const 0x0001fff000000020))
