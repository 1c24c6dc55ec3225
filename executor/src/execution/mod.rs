//! Compiling and running, off the async threads and within bounds.

pub mod bind;
pub mod cache;
pub mod code_cache;
pub mod compile;
pub mod differential;
pub mod engine;
pub mod fair;
pub mod guest;
pub mod live;
pub mod modules;
pub mod places;
pub mod pool;
pub mod prepared;
pub mod room;
pub mod run;
pub mod selftest;
pub mod shares;
pub mod stream;
pub mod summary;
pub mod threads;
pub mod workers;
