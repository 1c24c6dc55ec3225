;; A text that is longer than the memory.
(func (export "rulebox_message") (param i32) (result i64) (i64.const 0x10ffffffff))
