(module (global (export "rulebox_abi_1") i32 (i32.const 1)))
