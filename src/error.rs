//! The one error type of the library.
//!
//! Each message names the thing, what was expected and what was found, and says what to do next.

use std::path::PathBuf;

/// Result with the library's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong. Messages are whole sentences for a user; variants are for a program.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What happened and what to do.
        message: String,
    },
    /// A checkpoint is damaged, of another format, incomplete, or of an unknown naming scheme.
    #[error("checkpoint: {0}")]
    Checkpoint(String),
    /// A tensor is missing, of the wrong shape or type, or holds NaN or infinite values.
    #[error("tensor `{name}`: {message}")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What was expected and found.
        message: String,
    },
    /// A graph is not well formed.
    #[error("graph node `{node}`: {message}")]
    Graph {
        /// The node's name.
        node: String,
        /// What was expected and found.
        message: String,
    },
    /// An input has the wrong shape, size or number.
    #[error("input: {0}")]
    Input(String),
    /// A picture could not be decoded or is too large.
    #[error("picture: {0}")]
    Picture(String),
    /// No graphics adapter fits.
    #[error("no adapter: {0}")]
    NoAdapter(String),
    /// A plan does not fit the device's limits.
    #[error("plan: node `{node}` needs {needed} of {limit}, the device has {available}: {hint}")]
    Limit {
        /// The node that does not fit.
        node: String,
        /// The limit's name, as WebGPU calls it.
        limit: &'static str,
        /// What the node needs.
        needed: u64,
        /// What the device offers.
        available: u64,
        /// What to do.
        hint: String,
    },
    /// No kernel variant applies to a node.
    #[error("plan: no kernel applies to node `{node}`: {reasons}")]
    NoVariant {
        /// The node.
        node: String,
        /// Why each variant was refused.
        reasons: String,
    },
    /// A kernel's source or interface is wrong.
    #[error("kernel `{name}`: {message}")]
    Kernel {
        /// The variant's name.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// The device is lost; sessions on it are of no more use.
    #[error("the device is lost ({0}): make a new engine and new sessions")]
    DeviceLost(String),
    /// The device has no memory left.
    #[error("out of GPU memory ({0}): use a smaller batch or size, or free other sessions")]
    OutOfMemory(String),
    /// The device reported an error of ours or the driver's.
    #[error("device: {0}")]
    Device(String),
    /// The ring of results is full: take or drop an earlier `Pending` first.
    #[error("busy: all {0} places of the ring are in use; take or drop an earlier result first")]
    Busy(usize),
    /// An option has a value that cannot be used.
    #[error("{option}: {message}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// What is wrong and what would do.
        message: String,
    },
}
