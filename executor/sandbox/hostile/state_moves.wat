;; Another address each time.
(global $at (mut i64) (i64.const 0x0000001000000008))
(func (export "rulebox_state") (result i64)
  (global.set $at (i64.add (global.get $at) (i64.const 0x0000000800000000)))
  (global.get $at))
