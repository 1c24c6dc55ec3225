;; 4 GiB of state.
(func (export "rulebox_state") (result i64)
  (i64.const 0x00000000ffffffff))
