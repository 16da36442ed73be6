//! The C library: `include/mobilenet.h` is made from this.
//!
//! What must hold: no panic crosses the border (every function that can run our code goes through [`status::guarded`]);
//! what a pointer must be is said in the header, once for all functions; an out parameter is written only on success.
// The header states the rules; repeating them at each function says nothing more.
#![allow(clippy::missing_safety_doc)]

mod adapters;
mod border;
mod classifier;
mod job;
mod options;
mod outputs;
mod status;

pub use adapters::{mobilenet_adapters_json, mobilenet_string_free};
pub use classifier::*;
pub use job::*;
pub use options::{Options, Precision, mobilenet_options_init};
pub use outputs::*;
pub use status::{MOBILENET_ABI_VERSION, Status, mobilenet_abi_version, mobilenet_last_error};
