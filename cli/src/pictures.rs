//! From what the user names to a list of pictures, and from a name to pixels.

use crate::failure::{Failure, Outcome};
use mobilenet_wgpu::Picture;
use mobilenet_wgpu::picture::DecodeLimits;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Endings of files in folders that are taken for pictures; a file that is named itself may have any.
const ENDINGS: [&str; 6] = ["jpg", "jpeg", "png", "webp", "bmp", "gif"];

/// Most bytes of a picture's file.
const LARGEST_FILE: u64 = 1 << 30;

/// Where a picture is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file.
    File(PathBuf),
    /// Standard input, `-`.
    Stdin,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::File(path) => write!(f, "{}", path.display()),
            Place::Stdin => f.write_str("-"),
        }
    }
}

impl Place {
    /// Its pixels, or why there are none.
    pub fn decode(&self, limits: &DecodeLimits) -> Result<Picture, String> {
        let bytes = match self {
            Place::File(path) => std::fs::File::open(path).and_then(read),
            Place::Stdin => read(std::io::stdin().lock()),
        };
        let bytes = bytes.map_err(|e| format!("cannot be read: {e}"))?;
        if bytes.len() as u64 > LARGEST_FILE {
            return Err("is larger than 1 GiB, which no picture is".into());
        }
        Picture::decode(&bytes, limits).map_err(|e| e.to_string())
    }
}

fn read(from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The pictures that `paths` mean, in their order; folders with all that is below them but what is hidden, sorted. A file that
/// does not exist is in the list: that it cannot be read is told in its place.
pub fn list(paths: &[PathBuf]) -> Outcome<Vec<Place>> {
    let mut places = Vec::new();
    for path in paths {
        if path == Path::new("-") {
            places.push(Place::Stdin);
        } else if path.is_dir() {
            let found = below(path)?;
            if found.is_empty() {
                let known = ENDINGS.join(", .");
                return Err(Failure::new(format!("{}: holds no pictures (.{known})", path.display())));
            }
            places.extend(found);
        } else {
            places.push(Place::File(path.clone()));
        }
    }
    if places.iter().filter(|p| **p == Place::Stdin).count() > 1 {
        return Err(Failure::new("`-` stands for standard input, which can be read once"));
    }
    Ok(places)
}

/// The pictures below a folder, sorted; there may be none.
pub fn below(folder: &Path) -> Outcome<Vec<Place>> {
    let mut places = Vec::new();
    let real = folder.canonicalize().map_err(|e| Failure::new(format!("{}: cannot be read: {e}", folder.display())))?;
    let mut above = real.ancestors().skip(1).map(Path::to_path_buf).collect();
    walk(folder, &mut above, &mut places)?;
    Ok(places)
}

/// `above` are the folders that this one is in, as they are without links: a link to one of them would go round in circles.
fn walk(folder: &Path, above: &mut Vec<PathBuf>, places: &mut Vec<Place>) -> Outcome<()> {
    let failed = |e: std::io::Error| Failure::new(format!("{}: cannot be read: {e}", folder.display()));
    let real = folder.canonicalize().map_err(failed)?;
    if above.contains(&real) {
        return Ok(());
    }
    above.push(real);
    let mut entries: Vec<_> = std::fs::read_dir(folder).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for path in entries.into_iter().map(|entry| entry.path()).filter(|path| !is_hidden(path)) {
        if path.is_dir() {
            walk(&path, above, places)?;
        } else if is_picture(&path) && (path.is_file() || path.is_symlink()) {
            // A link to nowhere is told as a file that is not there.
            places.push(Place::File(path));
        }
    }
    above.pop();
    Ok(())
}

/// Whether a file or folder is one that is not shown: `.ipynb_checkpoints`, macOS's `._photo.jpg`.
pub fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Whether a file's name ends as a picture's.
pub fn is_picture(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).map(str::to_lowercase);
    ending.is_some_and(|e| ENDINGS.contains(&e.as_str()))
}
