//! The hub's cache on disk, in Hugging Face's layout.
//!
//! ```text
//! models--org--name/
//!   blobs/<etag>                   the content, by ETag; `<etag>.incomplete` while it comes in
//!   refs/main                      the commit that the branch stood at when it was last asked for
//!   snapshots/<commit>/<file>      a relative link to the blob (a copy where links cannot be made)
//!   .no_exist/<commit>/<file>      an empty file: the repository is known to have no such file
//! .locks/models--org--name/<etag>.lock
//! ```
//! What must hold: whatever has its final name is whole. So everything is written beside its place and renamed into it.

use super::{HubError, Repository, name::is_commit};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// A cache folder; it need not exist.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

/// Held while a blob is written; gone when dropped.
pub struct Lock(#[expect(dead_code, reason = "the lock lives as long as the file is open")] Option<File>);

impl Cache {
    /// The cache at `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The cache's root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Name of a repository's folder below the root.
    pub fn folder_name(repository: &Repository) -> String {
        format!("models--{}", repository.name.replace('/', "--"))
    }

    fn folder(&self, repository: &Repository) -> PathBuf {
        self.root.join(Self::folder_name(repository))
    }

    /// The commit that the revision stood at when it was last fetched.
    pub fn commit(&self, repository: &Repository) -> Option<String> {
        if repository.is_commit() {
            return Some(repository.revision.clone());
        }
        let text = fs::read_to_string(self.ref_path(repository)).ok()?;
        Some(text.trim().to_string()).filter(|commit| is_commit(commit))
    }

    fn ref_path(&self, repository: &Repository) -> PathBuf {
        self.folder(repository).join("refs").join(&repository.revision)
    }

    /// The folder of a commit's files.
    pub fn snapshot(&self, repository: &Repository, commit: &str) -> PathBuf {
        self.folder(repository).join("snapshots").join(commit)
    }

    /// The path of `file` at the commit that is in the cache, if it is there.
    pub fn find(&self, repository: &Repository, file: &str) -> Option<PathBuf> {
        let path = self.snapshot(repository, &self.commit(repository)?).join(file);
        path.is_file().then_some(path)
    }

    /// Where a blob is or will be.
    pub fn blob(&self, repository: &Repository, etag: &str) -> PathBuf {
        self.folder(repository).join("blobs").join(etag)
    }

    /// Whether it is on record that the repository has no such file at this commit.
    pub fn is_known_absent(&self, repository: &Repository, commit: &str, file: &str) -> bool {
        self.folder(repository).join(".no_exist").join(commit).join(file).exists()
    }

    /// Puts on record that the repository has no such file at this commit.
    pub fn record_absent(&self, repository: &Repository, commit: &str, file: &str) -> Result<(), HubError> {
        let path = self.folder(repository).join(".no_exist").join(commit).join(file);
        make_parent(&path)?;
        File::create(&path).map(|_| ()).map_err(|error| HubError::file(&path, &error))
    }

    /// Puts on record where the revision stands.
    pub fn record_commit(&self, repository: &Repository, commit: &str) -> Result<(), HubError> {
        if repository.is_commit() || self.commit(repository).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.ref_path(repository);
        make_parent(&path)?;
        let part = path.with_file_name(format!("{}.{}.tmp", file_name(&path), std::process::id()));
        fs::write(&part, commit).and_then(|()| fs::rename(&part, &path)).map_err(|error| HubError::file(&path, &error))
    }

    /// Makes a blob visible as `file` of a commit, and gives that path.
    pub fn point(&self, repository: &Repository, commit: &str, file: &str, etag: &str) -> Result<PathBuf, HubError> {
        let (blob, pointer) = (self.blob(repository, etag), self.snapshot(repository, commit).join(file));
        // Down from snapshots/<commit>/ (and the file's own folders) to the repository's folder.
        let up: PathBuf = std::iter::repeat_n("..", 2 + file.matches('/').count()).collect();
        let target = up.join("blobs").join(etag);
        if fs::read_link(&pointer).is_ok_and(|found| found == target) && pointer.is_file() {
            return Ok(pointer);
        }
        make_parent(&pointer)?;
        let part = pointer.with_file_name(format!("{}.{}.incomplete", file_name(&pointer), std::process::id()));
        let _ = fs::remove_file(&part);
        link(&target, &part)
            .or_else(|_| fs::copy(&blob, &part).map(|_| ()))
            .and_then(|()| fs::rename(&part, &pointer))
            .map_err(|error| HubError::file(&pointer, &error))?;
        Ok(pointer)
    }

    /// Waits until no other process (of ours or Python's) fetches this blob. Best effort: some file systems know no locks.
    pub fn lock(&self, repository: &Repository, etag: &str) -> Result<Lock, HubError> {
        let path = self.root.join(".locks").join(Self::folder_name(repository)).join(format!("{etag}.lock"));
        make_parent(&path)?;
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(|error| HubError::file(&path, &error))?;
        Ok(Lock(file.lock().is_ok().then_some(file)))
    }
}

/// Makes the folder that `path` will be in.
pub fn make_parent(path: &Path) -> Result<(), HubError> {
    let Some(parent) = path.parent() else { return Ok(()) };
    fs::create_dir_all(parent).map_err(|error| HubError::file(parent, &error))
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(unix)]
fn link(target: &Path, pointer: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, pointer)
}

// Needs developer mode or administrator rights; where it fails, the caller copies.
#[cfg(windows)]
fn link(target: &Path, pointer: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_file(target, pointer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_is_found_by_branch_and_by_commit() {
        let root = std::env::temp_dir().join(format!("mobilenet-cache-{}", std::process::id()));
        let (cache, commit) = (Cache::new(&root), "0123456789abcdef0123456789abcdef01234567");
        let main = Repository::parse("org/name", None).unwrap();
        assert_eq!(cache.find(&main, "model.safetensors"), None);
        make_parent(&cache.blob(&main, "aa")).unwrap();
        fs::write(cache.blob(&main, "aa"), "content").unwrap();
        cache.record_commit(&main, commit).unwrap();
        cache.point(&main, commit, "model.safetensors", "aa").unwrap();
        cache.point(&main, commit, "sub/config.json", "aa").unwrap();
        let folder = root.join("models--org--name");
        assert_eq!(fs::read_to_string(folder.join("refs/main")).unwrap(), commit);
        let at_commit = Repository::parse("org/name", Some(commit)).unwrap();
        for (repository, file) in [(&main, "model.safetensors"), (&at_commit, "model.safetensors"), (&main, "sub/config.json")] {
            assert_eq!(fs::read_to_string(cache.find(repository, file).unwrap()).unwrap(), "content");
        }
        #[cfg(unix)]
        assert_eq!(fs::read_link(folder.join("snapshots").join(commit).join("model.safetensors")).unwrap(), Path::new("../../blobs/aa"));
        fs::remove_dir_all(root).unwrap();
    }
}
