//! The commands, one file each: its arguments, and `run`.

pub mod adapters;
pub mod bench;
pub mod classify;
pub mod completions;
pub mod convert;
pub mod embed;
pub mod eval;
pub mod inspect;
pub mod lab;
pub mod models;
pub mod plan;
#[cfg(feature = "hub")]
pub mod pull;
pub mod run;
pub mod similar;
pub mod summary;
pub mod tune;
#[cfg_attr(not(feature = "view"), path = "no_view.rs")]
pub mod view;
