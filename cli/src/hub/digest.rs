//! Checks of a file against its ETag: the hub names large files by their SHA-256 and small ones by their git blob SHA-1.

use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use std::io::Read;
use std::path::Path;

/// What an ETag says about a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// 64 hexadecimal digits: SHA-256 of the content (Git LFS).
    Sha256,
    /// 40 hexadecimal digits: SHA-1 of `blob <length>\0` and the content (git).
    GitSha1,
    /// Anything else, as mirrors have it: nothing to check.
    None,
}

impl Checksum {
    /// What kind of checksum `etag` is.
    pub fn of(etag: &str) -> Self {
        match etag.len() {
            _ if !etag.bytes().all(|b| b.is_ascii_hexdigit()) => Self::None,
            64 => Self::Sha256,
            40 => Self::GitSha1,
            _ => Self::None,
        }
    }

    /// The checksum of this kind of the file at `path`, in hexadecimal; `None` for [`Checksum::None`].
    pub fn compute(self, path: &Path) -> std::io::Result<Option<String>> {
        let mut file = std::fs::File::open(path)?;
        Ok(match self {
            Self::Sha256 => Some(hash(Sha256::new(), &mut file)?),
            Self::GitSha1 => {
                let header = format!("blob {}\0", file.metadata()?.len());
                Some(hash(Sha1::new_with_prefix(header), &mut file)?)
            }
            Self::None => None,
        })
    }
}

fn hash<D: sha2::Digest>(mut digest: D, reader: &mut impl Read) -> std::io::Result<String> {
    let mut buffer = vec![0; 1 << 18];
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            n => digest.update(&buffer[..n]),
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn checksums_are_those_of_git_and_lfs() {
        let path = std::env::temp_dir().join(format!("mobilenet-digest-{}", std::process::id()));
        std::fs::write(&path, "hello\n").unwrap();
        // `echo hello | git hash-object --stdin`, `echo hello | sha256sum`
        let git = "ce013625030ba8dba906f756967f9e9ca394464a";
        let sha = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert_eq!(Checksum::of(git).compute(&path).unwrap().unwrap(), git);
        assert_eq!(Checksum::of(sha).compute(&path).unwrap().unwrap(), sha);
        assert_eq!(Checksum::of("\"abc-1\"").compute(&path).unwrap(), None);
        std::fs::remove_file(path).unwrap();
    }
}
