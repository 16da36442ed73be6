//! What can go wrong between here and the hub, and what to do about it.

use std::path::PathBuf;
use std::time::Duration;

/// An error of the hub's client or cache.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HubError {
    /// Not the name of a repository.
    #[error("`{name}` is not a model's name: {reason}")]
    Name {
        /// What was given.
        name: String,
        /// Why it cannot be a name.
        reason: String,
    },
    /// The hub does not have it.
    #[error("{what} is not on the hub at {endpoint}: {hint}")]
    NotFound {
        /// The repository, revision or file.
        what: String,
        /// The hub's address.
        endpoint: String,
        /// What to look at.
        hint: String,
    },
    /// The hub answered 401 or 403.
    #[error("{endpoint} refuses access to {what} (HTTP {status}): {hint}")]
    Refused {
        /// The repository.
        what: String,
        /// The hub's address.
        endpoint: String,
        /// 401 or 403.
        status: u16,
        /// What to do.
        hint: String,
    },
    /// The hub cannot answer now: too many requests, or an error of its own.
    #[error("{endpoint} could not answer for {what} (HTTP {status}): try again later; a partial download is kept and resumed")]
    Busy {
        /// The file.
        what: String,
        /// The hub's address.
        endpoint: String,
        /// 408, 429 or 5xx.
        status: u16,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// No connection, or a connection that broke.
    #[error("{what} could not be fetched from {endpoint}: {message}; a partial download is kept and resumed when the command is run again")]
    Network {
        /// The file.
        what: String,
        /// The hub's address.
        endpoint: String,
        /// What the connection said.
        message: String,
    },
    /// An answer that a hub does not give.
    #[error("{endpoint} does not answer as a hub does for {what}: {message}; check HF_ENDPOINT and proxy settings")]
    Protocol {
        /// The file.
        what: String,
        /// The hub's address.
        endpoint: String,
        /// What is wrong with it.
        message: String,
    },
    /// The bytes that came are not those that the hub names.
    #[error(
        "{what} arrived damaged: {message}; nothing was kept. Run the command again; if it happens again, a proxy or mirror changes the file"
    )]
    Damaged {
        /// The file.
        what: String,
        /// Expected and found.
        message: String,
    },
    /// Offline, and not in the cache.
    #[error(
        "{name} is not in the cache ({}) and the hub is not asked because HF_HUB_OFFLINE is set. Where there is a network, run `mobilenet pull {name}` \
         and copy the folder `{folder}` from its cache into this one", cache.display()
    )]
    Offline {
        /// The repository.
        name: String,
        /// The cache's root.
        cache: PathBuf,
        /// The repository's folder below it.
        folder: String,
    },
    /// The hub cannot be reached, and it is not in the cache.
    #[error(
        "{name} is not in the cache ({}) and the hub cannot be reached ({cause}). On a machine with a network, run `mobilenet pull {name}` \
         and copy the folder `{folder}` from its cache into this one", cache.display()
    )]
    Unreachable {
        /// The repository.
        name: String,
        /// The cache's root.
        cache: PathBuf,
        /// The repository's folder below it.
        folder: String,
        /// What the connection said.
        cause: String,
    },
    /// Offline, and only the weights are in the cache.
    #[error("the hub is not asked because HF_HUB_OFFLINE is set; where there is a network, run `mobilenet pull {name}`")]
    NoConfig {
        /// The repository.
        name: String,
    },
    /// Reading or writing on disk.
    #[error("{}: {message}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What happened and what to do.
        message: String,
    },
}

impl HubError {
    /// A file error, with what to do where that is known.
    pub fn file(path: impl Into<PathBuf>, error: &std::io::Error) -> Self {
        let hint = match error.kind() {
            std::io::ErrorKind::StorageFull => ": free some space, or set HF_HUB_CACHE to a folder on another disk",
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                ": set HF_HUB_CACHE to a folder that can be written"
            }
            _ => "",
        };
        Self::File { path: path.into(), message: format!("{error}{hint}") }
    }

    /// Whether trying again soon may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Network { .. })
    }
}
