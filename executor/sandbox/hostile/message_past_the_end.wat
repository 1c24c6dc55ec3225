;; A text whose last byte is outside the memory.
(func (export "rulebox_message") (param i32) (result i64) (i64.const 0x0001ffff00000002))
