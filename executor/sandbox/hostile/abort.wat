;; The one import there is.
(import "env" "abort" (func $abort (param i32 i32 i32 i32)))
(func (export "rulebox_eval") (param $rows i32) (result i32)
  (call $abort (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1))
  (i32.const 0))
