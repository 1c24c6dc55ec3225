//! The `rulebox` binary.
fn main() {}
