;; Neither yes nor no.
(func (export "rulebox_init") (param i32) (result i32) (i32.const 7))
