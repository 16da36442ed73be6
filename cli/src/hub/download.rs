//! One file from the hub into the cache: resumed where an earlier attempt was cut, tried again where the connection breaks,
//! and verified before it gets its name.

use super::cache::make_parent;
use super::digest::Checksum;
use super::{Cache, Client, HubError, Metadata, Repository};
use indicatif::ProgressBar;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Attempts without a new byte before giving up.
const ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(300);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Tries `question` again, with longer and longer waits, while its error may go away by itself.
pub fn patiently<T>(mut question: impl FnMut() -> Result<T, HubError>) -> Result<T, HubError> {
    let mut patience = Patience::default();
    loop {
        match question() {
            Err(error) => patience.wait(error)?,
            answer => return answer,
        }
    }
}

#[derive(Default)]
struct Patience {
    failures: u32,
}

impl Patience {
    /// Waits before the next attempt, or gives the error back if it is no use or enough.
    fn wait(&mut self, error: HubError) -> Result<(), HubError> {
        self.failures += 1;
        if !error.is_transient() || self.failures >= ATTEMPTS {
            return Err(error);
        }
        let asked = if let HubError::Busy { retry_after: Some(wait), .. } = &error { *wait } else { Duration::ZERO };
        std::thread::sleep((FIRST_WAIT * 2u32.pow(self.failures - 1)).max(asked).min(LONGEST_WAIT));
        Ok(())
    }
}

/// A file to be fetched.
pub struct Download<'a> {
    pub cache: &'a Cache,
    pub client: &'a Client,
    pub repository: &'a Repository,
    pub file: &'a str,
    pub metadata: &'a Metadata,
    pub bar: &'a ProgressBar,
}

impl Download<'_> {
    /// Makes sure that the blob is in the cache, whole; whether it had to be fetched.
    pub fn run(&self) -> Result<bool, HubError> {
        let blob = self.cache.blob(self.repository, &self.metadata.etag);
        make_parent(&blob)?;
        let _lock = self.cache.lock(self.repository, &self.metadata.etag)?;
        if blob.is_file() && self.check(&blob, self.metadata.size).is_ok() {
            return Ok(false);
        }
        let part = self.part(&blob);
        let resumed = length(&part) > 0;
        let total = self.fetch(&part)?;
        if let Err(error) = self.check(&part, total) {
            let _ = fs::remove_file(&part);
            // What an earlier run left may have been the damaged piece: once more, from the beginning.
            if !resumed {
                return Err(error);
            }
            let total = self.fetch(&part)?;
            self.check(&part, total).inspect_err(|_| drop(fs::remove_file(&part)))?;
        }
        File::open(&part)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&part, &blob))
            .map_err(|error| HubError::file(&blob, &error))?;
        Ok(true)
    }

    fn part(&self, blob: &Path) -> PathBuf {
        blob.with_file_name(format!("{}.incomplete", self.metadata.etag))
    }

    /// Appends to `part` until it is as long as the file; the length that the file should have.
    fn fetch(&self, part: &Path) -> Result<Option<u64>, HubError> {
        let mut patience = Patience::default();
        let mut total = self.metadata.size;
        if total.is_some_and(|total| length(part) > total) {
            fs::remove_file(part).map_err(|error| HubError::file(part, &error))?;
        }
        while total.is_none_or(|total| length(part) < total) || !part.exists() {
            let before = length(part);
            match self.append(part, before, &mut total) {
                // A body that ends early without an error, with a length that is known: as good as cut.
                Ok(()) if total.is_none_or(|total| length(part) >= total) => break,
                Ok(()) => self.retry(&mut patience, length(part) > before, self.cut("the connection ended early"))?,
                Err(error) => self.retry(&mut patience, length(part) > before, error)?,
            }
        }
        Ok(total)
    }

    fn retry(&self, patience: &mut Patience, progress: bool, error: HubError) -> Result<(), HubError> {
        if progress {
            *patience = Patience::default();
        }
        patience.wait(error)
    }

    fn append(&self, part: &Path, from: u64, total: &mut Option<u64>) -> Result<(), HubError> {
        let on_disk = |error: std::io::Error| HubError::file(part, &error);
        let mut stream = self.client.open(self.repository, &self.metadata.commit, self.file, from)?;
        *total = total.or(stream.total);
        let mut file = File::options().create(true).write(true).truncate(false).open(part).map_err(on_disk)?;
        file.set_len(stream.start).map_err(on_disk)?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(stream.start)).map_err(on_disk)?;
        self.bar.set_length(total.unwrap_or(0));
        self.bar.set_position(stream.start);
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = stream.read(&mut buffer).map_err(|error| self.cut(&error.to_string()))?;
            if read == 0 {
                return Ok(());
            }
            file.write_all(&buffer[..read]).map_err(on_disk)?;
            self.bar.inc(read as u64);
        }
    }

    fn cut(&self, message: &str) -> HubError {
        HubError::Network { what: format!("{}/{}", self.repository, self.file), endpoint: "the hub".into(), message: message.into() }
    }

    /// Length and checksum of a file against what the hub says.
    fn check(&self, path: &Path, size: Option<u64>) -> Result<(), HubError> {
        let damaged = |message| HubError::Damaged { what: format!("{}/{}", self.repository, self.file), message };
        let found = length(path);
        if let Some(expected) = size.filter(|&expected| expected != found) {
            return Err(damaged(format!("{found} bytes instead of {expected}")));
        }
        let sum = Checksum::of(&self.metadata.etag).compute(path).map_err(|error| HubError::file(path, &error))?;
        match sum {
            Some(sum) if sum != self.metadata.etag.to_ascii_lowercase() => {
                Err(damaged(format!("its checksum is {sum}, the hub says {}", self.metadata.etag)))
            }
            _ => Ok(()),
        }
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}
