(func (export "rulebox_message") (param i32) (result i64) (unreachable))
