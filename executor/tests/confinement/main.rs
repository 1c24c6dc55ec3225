//! What a confined process can still do, tried by processes that are confined: this test binary, started again for
//! each try. The errors tell which layer answered: Landlock refuses files and addresses with `EACCES`, seccomp calls
//! with `EPERM`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod child;
mod layers;
mod tries;
mod work;
mod worker;
