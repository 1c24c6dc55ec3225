;; What compilers emit unless told otherwise.
(func (export "rulebox_eval") (param $rows i32) (result i32)
  (memory.fill (i32.const 0) (i32.const 0) (i32.const 8))
  (i32.const 0))
