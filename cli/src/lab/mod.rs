//! The commands of `mobilenet lab`, one file each: thin layers over the library's `lab` and `measure`.

pub mod list;
pub mod new;
pub mod roof;
pub mod run;
mod shape;
pub mod show;
mod worker;

use crate::failure::{Failure, Outcome};
use mobilenet_wgpu::kernel::OpKind;

/// An op by its name.
pub fn op(name: &str) -> Result<OpKind, String> {
    let names = || OpKind::ALL.map(OpKind::name).join(", ");
    OpKind::ALL.into_iter().find(|op| op.name() == name).ok_or_else(|| format!("expected one of {}", names()))
}

/// Reads a file that the user names.
fn read(path: &std::path::Path) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|e| Failure::new(format!("{}: cannot be read: {e}", path.display())))
}
