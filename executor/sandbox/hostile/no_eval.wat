(module
  (memory (export "memory") 1)
  (global (export "rulebox_abi_1") i32 (i32.const 1))
  (func (export "rulebox_init") (param i32) (result i32) (i32.const 0))
  (func (export "rulebox_buffer") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "rulebox_reset")))
