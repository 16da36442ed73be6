//! The commands of `mobilenet lab`, one file each: thin layers over the library's `lab` and `measure`.

pub mod adopt;
mod bench;
pub mod compare;
pub mod list;
pub mod look;
mod memory;
pub mod new;
mod record;
pub mod report;
pub mod roof;
pub mod run;
pub mod separable;
mod shape;
pub mod show;
pub mod sweep;
mod table;
mod watch;
pub mod worker;

use crate::failure::{Failure, Outcome};
use mobilenet_wgpu::kernel::OpKind;

/// An op by its name.
pub fn op(name: &str) -> Result<OpKind, String> {
    let names = || OpKind::ALL.map(OpKind::name).join(", ");
    OpKind::named(name).ok_or_else(|| format!("expected one of {}", names()))
}

/// Reads a file that the user names.
fn read(path: &std::path::Path) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|e| Failure::new(format!("{}: cannot be read: {e}", path.display())))
}
