;; The verdicts are checked behind it.
(func (export "rulebox_message") (param i32) (result i64) (i32.store8 (i32.const 40960) (i32.const 7)) (i64.const 0))
