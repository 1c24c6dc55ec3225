;; A text that clears a terminal, turns the direction of what follows, and is no UTF-8. It is a text all the same.
(data (i32.const 96) "\1b[2J\00\e2\80\ae\ff evil")
(func (export "rulebox_message") (param i32) (result i64) (i64.const 0x000000600000000e))
