(global (export "rulebox_eval") i32 (i32.const 0))
