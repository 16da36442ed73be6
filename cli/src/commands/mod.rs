//! The commands, one file each: its arguments, and `run`.

pub mod adapters;
pub mod bench;
pub mod classify;
pub mod completions;
pub mod inspect;
pub mod plan;
pub mod run;
pub mod summary;
pub mod tune;
