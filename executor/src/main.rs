//! The `rulebox` binary.

use std::process::ExitCode;

/// Compiling rules and reading requests allocates in many small pieces from many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    rulebox::cli::main()
}
