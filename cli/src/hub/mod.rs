//! Checkpoints by name: a thin client of the Hugging Face hub and of its cache on disk.
//!
//! The cache has the hub's own layout, so that what Python fetched is found here and vice versa. What must hold: a file in the
//! cache is whole (length and, where the hub names one, checksum are verified before it gets its name), a cut download is
//! resumed, and nothing here needs a network if the file is already there.

mod cache;
mod client;
mod digest;
mod download;
mod environment;
mod error;
mod model;
mod name;

pub use cache::Cache;
pub use client::{Client, Metadata};
pub use environment::Environment;
pub use error::HubError;
pub use model::{Fetched, Hub, HubModel};
pub use name::Repository;

/// A bar for a download, on standard error where that is a terminal; else it shows nothing.
pub fn progress_bar() -> indicatif::ProgressBar {
    let template = "{msg}  [{bar:30}] {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
    let bar = indicatif::ProgressBar::new(0);
    match indicatif::ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.progress_chars("█▉▊▋▌▍▎▏ ")),
        Err(_) => bar,
    }
}

impl From<HubError> for crate::failure::Failure {
    fn from(error: HubError) -> Self {
        Self::new(error.to_string())
    }
}
