;; The out column over the params, which were set long before.
(func (export "rulebox_buffer") (param $kind i32) (param $index i32) (param $bytes i32) (result i32)
  (if (i32.eq (local.get $kind) (i32.const 0)) (then (return (i32.const 8))))
  (if (i32.eq (local.get $kind) (i32.const 1)) (then (return (i32.const 4096))))
  (if (i32.eq (local.get $kind) (i32.const 6)) (then (return (i32.const 40960))))
  (if (i32.eq (local.get $kind) (i32.const 7)) (then (return (i32.const 45056))))
  (i32.const 8))
