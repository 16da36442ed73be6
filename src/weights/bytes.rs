//! A checkpoint's bytes: a mapped file, or memory that the caller has.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Bytes of a checkpoint, shared and read only. Made with `From` out of a `Vec<u8>`, an `Arc<[u8]>`, a
/// `&'static [u8]` (`include_bytes!`), or by mapping a file.
#[derive(Clone)]
pub struct Bytes(Inner);

#[derive(Clone)]
enum Inner {
    #[cfg(not(target_arch = "wasm32"))]
    Mapped(Arc<memmap2::Mmap>),
    Shared(Arc<[u8]>),
    Owned(Arc<Vec<u8>>),
    Static(&'static [u8]),
}

/// Most bytes taken from a pipe or device, which say no length.
#[cfg(not(target_arch = "wasm32"))]
const LARGEST_STREAM: u64 = 1 << 30;

#[cfg(not(target_arch = "wasm32"))]
impl Bytes {
    /// Maps a file; pages are read when they are first used.
    ///
    /// # Errors
    /// [`crate::Error::File`] if the file cannot be opened, is a folder, or cannot be mapped.
    pub fn map(path: &std::path::Path) -> crate::Result<Self> {
        let failed = |e: std::io::Error| crate::Error::File { path: path.to_path_buf(), message: format!("cannot be read: {e}") };
        let file = std::fs::File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.len() == 0 {
            // An empty mapping is an error on some systems; pipes and devices have no length and cannot be mapped.
            let mut bytes = Vec::new();
            if !metadata.is_file() {
                use std::io::Read as _;
                std::io::BufReader::new(file).take(LARGEST_STREAM).read_to_end(&mut bytes).map_err(failed)?;
            }
            return Ok(Self::from(bytes));
        }
        // SAFETY: the mapping is read only and private to this process. A file that another program cuts short while
        // we read it would fault; checkpoints are written once and then replaced, not rewritten in place.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(failed)?;
        Ok(Self(Inner::Mapped(Arc::new(map))))
    }
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.0 {
            #[cfg(not(target_arch = "wasm32"))]
            Inner::Mapped(map) => map,
            Inner::Shared(bytes) => bytes,
            Inner::Owned(bytes) => bytes,
            Inner::Static(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Inner::Owned(Arc::new(bytes)))
    }
}

impl From<Arc<[u8]>> for Bytes {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self(Inner::Shared(bytes))
    }
}

impl From<&'static [u8]> for Bytes {
    fn from(bytes: &'static [u8]) -> Self {
        Self(Inner::Static(bytes))
    }
}

impl<const N: usize> From<&'static [u8; N]> for Bytes {
    fn from(bytes: &'static [u8; N]) -> Self {
        Self(Inner::Static(bytes))
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.len())
    }
}
