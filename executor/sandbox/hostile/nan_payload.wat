;; Smuggles 51 bits out in a NaN; they come out as "missing".
(func (export "rulebox_eval") (param $rows i32) (result i32)
  (i64.store (i32.const 61440) (i64.const 0xfff4_dead_beef_cafe))
  (i32.store8 (i32.const 40960) (i32.const 1))
  (i32.const 0))
