;; 2^64 rounds, none of them long.
(func (export "rulebox_eval") (param $rows i32) (result i32) (local $i i32) (local $j i32)
  (loop $outer
    (local.set $j (i32.const 0))
    (loop $inner
      (local.set $j (i32.add (local.get $j) (i32.const 1)))
      (br_if $inner (i32.ne (local.get $j) (i32.const -1))))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if $outer (i32.ne (local.get $i) (i32.const -1))))
  (i32.const 0))
