//! The driver's compiled pipelines, kept between starts in the cache folder, by adapter, driver and version of ours.
//!
//! What must hold: a driver may trust its bytes, so none reach it but those that we wrote ourselves, whole and unchanged,
//! and that no other user can write. All else, and a folder that cannot be written, is a start without them and no error.

use crate::config;
use crate::fingerprint::Fingerprint;
use mobilenet_wgpu::engine::Engine;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// What a file of ours begins with; then the checksum of the rest.
const MAGIC: &[u8; 16] = b"mobilenet-pipes1";
const HEADER: usize = MAGIC.len() + 8;
/// Longer ones are not read, nor written: whatever fills them is not our few pipelines.
const LARGEST: u64 = 64 << 20;

/// The kept pipelines of an engine; what came to them is written when this goes.
pub struct Kept {
    engine: Engine,
    place: PathBuf,
    /// What the file held.
    found: Option<Vec<u8>>,
}

impl Kept {
    /// Has the engine's pipelines made through those that are kept. Call it before the first session; `None` where the
    /// device keeps none, or there is no place for them.
    pub fn on(engine: &Engine) -> Option<Self> {
        if !engine.profile().pipeline_cache {
            return None;
        }
        let place = config::cache_folder()?.join("pipelines").join(engine.pipeline_cache_key().ok()?);
        let found = read(&place);
        // SAFETY: the bytes are what `Engine::pipeline_cache` gave: the file is ours alone, and its checksum holds.
        unsafe { engine.use_pipeline_cache(found.as_deref()) };
        Some(Self { engine: engine.clone(), place, found })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let Some(data) = self.engine.pipeline_cache().filter(|data| Some(data) != self.found.as_ref()) else { return };
        // Nothing depends on it: whoever cannot write there compiles again.
        let _ = write(&self.place, &data);
    }
}

/// What a file holds, if it is whole and nobody else's.
fn read(place: &Path) -> Option<Vec<u8>> {
    let file = File::open(place).ok()?;
    let about = file.metadata().ok()?;
    if !about.is_file() || about.len() > LARGEST || !is_private(&about) {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    let (header, data) = bytes.split_at_checked(HEADER)?;
    (header == self::header(data)).then(|| data.to_vec())
}

/// Writes a file, whole or not at all.
fn write(place: &Path, data: &[u8]) -> io::Result<()> {
    let Some(folder) = place.parent().filter(|_| data.len() as u64 + HEADER as u64 <= LARGEST) else { return Ok(()) };
    fs::create_dir_all(folder)?;
    let mut part = place.as_os_str().to_owned();
    part.push(format!(".{}.part", std::process::id()));
    let written = private(Path::new(&part)).and_then(|mut file| {
        file.write_all(&header(data))?;
        file.write_all(data)?;
        file.sync_data()?;
        fs::rename(&part, place)
    });
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

fn header(data: &[u8]) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let (magic, sum) = header.split_at_mut(MAGIC.len());
    magic.copy_from_slice(MAGIC);
    sum.copy_from_slice(&checksum(data).to_le_bytes());
    header
}

/// FNV-1a of 64 bits, and the length in it: against cut and damaged files, not against people.
fn checksum(data: &[u8]) -> u64 {
    let mut sum = Fingerprint::of(&(data.len() as u64).to_le_bytes());
    sum.add(data);
    sum.0
}

#[cfg(unix)]
fn is_private(about: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    about.permissions().mode() & 0o022 == 0
}

#[cfg(not(unix))]
fn is_private(_: &fs::Metadata) -> bool {
    true
}

/// A new file that only the user can read and write.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("mobilenet-pipelines-{name}-{}", std::process::id())))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = Folder::new("whole");
        let place = folder.0.join("a/b");
        assert_eq!(read(&place), None);
        for data in [&b"compiled"[..], b"", b"compiled again"] {
            write(&place, data).unwrap();
            assert_eq!(read(&place).as_deref(), Some(data));
        }
        let names: Vec<_> = fs::read_dir(place.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["b"], "nothing is left beside it");
    }

    #[test]
    fn damaged_cut_and_foreign_files_are_a_miss() {
        let folder = Folder::new("damaged");
        let place = folder.0.join("a");
        write(&place, b"compiled").unwrap();
        let whole = fs::read(&place).unwrap();
        for cut in 0..whole.len() {
            fs::write(&place, &whole[..cut]).unwrap();
            assert_eq!(read(&place), None, "cut at {cut}");
            let mut damaged = whole.clone();
            damaged[cut] ^= 1;
            fs::write(&place, &damaged).unwrap();
            assert_eq!(read(&place), None, "damaged at {cut}");
        }
        fs::write(&place, whole).unwrap();
        assert!(read(&place).is_some());
        assert_eq!(read(&folder.0), None, "a folder is none");
    }

    #[cfg(unix)]
    #[test]
    fn what_others_can_write_is_a_miss() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new("others");
        let place = folder.0.join("a");
        write(&place, b"compiled").unwrap();
        assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&place, fs::Permissions::from_mode(0o622)).unwrap();
        assert_eq!(read(&place), None);
    }
}
