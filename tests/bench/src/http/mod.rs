//! The parts over HTTP: the service on one core, its load on another.

pub mod bulk;
pub mod one_bar;
pub mod peer;
pub mod roles;
pub mod scaling;
pub mod sessions;
pub mod stored;
pub mod upload;

mod load;
mod process;
mod service;
mod stage;
mod tools;
