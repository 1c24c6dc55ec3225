//! The frame of hand-written modules: a well-behaved rule, parts of which a hostile module replaces.

use std::borrow::Cow;

use rulebox_abi::columns::InputColumns;
use rulebox_abi::export;

use crate::instance::Shape;

/// The well-behaved rule, field by field. It sums `input x param` from bar to bar; its out column is the sum, and over
/// 100 it is a breach.
const FIELDS: [(&str, &str); 7] = [
    (export::MEMORY, r#"(memory (export "memory") 2)"#),
    (export::MARKER, r#"(global (export "rulebox_abi_1") i32 (i32.const 1))"#),
    (export::INIT, r#"(func (export "rulebox_init") (param i32) (result i32) (i32.const 0))"#),
    (
        export::BUFFER,
        r#"(func (export "rulebox_buffer") (param $kind i32) (param $index i32) (param $bytes i32) (result i32)
            (if (i32.eq (local.get $kind) (i32.const 0)) (then (return (i32.const 8))))
            (if (i32.eq (local.get $kind) (i32.const 1)) (then (return (i32.const 4096))))
            (if (i32.eq (local.get $kind) (i32.const 6)) (then (return (i32.const 40960))))
            (if (i32.eq (local.get $kind) (i32.const 7)) (then (return (i32.const 45056))))
            (if (i32.eq (local.get $kind) (i32.const 8)) (then (return (i32.const 61440))))
            (i32.const 0))"#,
    ),
    (export::RESET, r#"(func (export "rulebox_reset") (f64.store (i32.const 16) (f64.const 0)))"#),
    (
        export::EVAL,
        r#"(func (export "rulebox_eval") (param $rows i32) (result i32) (local $row i32)
            (block $done
              (loop $next
                (br_if $done (i32.ge_u (local.get $row) (local.get $rows)))
                (f64.store (i32.const 16)
                  (f64.add (f64.load (i32.const 16))
                    (f64.mul (f64.load (i32.const 8))
                      (f64.load offset=4096 (i32.shl (local.get $row) (i32.const 3))))))
                (f64.store offset=61440 (i32.shl (local.get $row) (i32.const 3)) (f64.load (i32.const 16)))
                (i32.store8 offset=40960 (local.get $row)
                  (i32.shl (f64.gt (f64.load (i32.const 16)) (f64.const 100)) (i32.const 1)))
                (i32.store offset=45056 (i32.shl (local.get $row) (i32.const 2))
                  (f64.gt (f64.load (i32.const 16)) (f64.const 100)))
                (local.set $row (i32.add (local.get $row) (i32.const 1)))
                (br $next)))
            (i32.const 0))"#,
    ),
    (export::STATE, r#"(func (export "rulebox_state") (result i64) (i64.const 0x1000000008))"#),
];

/// What modules of the frame take and give.
pub const SHAPE: Shape = Shape { params: 1, inputs: 1, uses_time: false, outs: 1, message_values: 0, keep: false };

/// The text of a module: these fields, and those of the well-behaved rule whose export they do not have. A text
/// that is a whole `(module ...)` stays what it is.
pub fn text(fields: &str) -> Cow<'_, str> {
    if fields.lines().any(|line| line.starts_with("(module")) {
        return Cow::Borrowed(fields);
    }
    let mut text = format!("(module\n{fields}\n");
    for (name, field) in FIELDS {
        if !fields.contains(&format!("(export \"{name}\"")) {
            text.push_str(field);
            text.push('\n');
        }
    }
    text.push(')');
    Cow::Owned(text)
}

/// Assembles a module of the frame.
///
/// # Errors
/// If the fields are not WebAssembly text.
pub fn assemble(fields: &str) -> Result<Vec<u8>, wat::Error> {
    wat::parse_str(text(fields))
}

/// The bars 1, 2, 3, ... as the one input column of the frame.
pub fn input<'a>(columns: &'a [&'a [f64]; 1]) -> InputColumns<'a> {
    InputColumns { rows: columns[0].len(), inputs: columns, time: None }
}
