(func (export "rulebox_message") (param i32) (result i64) (loop (br 0)) (i64.const 0))
