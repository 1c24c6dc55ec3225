//! Rulebox.
fn main() {}
