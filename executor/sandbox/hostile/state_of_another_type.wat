;; Optional, but not whatever it likes.
(func (export "rulebox_state") (result i32) (i32.const 0))
