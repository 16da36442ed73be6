//! Files of embeddings: a row of f32 for each picture, with the pictures' paths.
//!
//! `.safetensors` hold a tensor `embeddings` of shape `[pictures, channels]`, and the paths as a JSON array under `paths` in their
//! metadata, beside the model and the options that made them; an `.npy` has the paths beside it in `NAME.paths.json`, the rest in
//! `NAME.about.json`. Rows are written to `NAME.partial` while they come, and become the file at the end, so that what has the
//! name is whole.

use crate::failure::{Failure, Outcome};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Safetensors' own limit of a header is 100 MB.
const LARGEST_HEADER: usize = 100_000_000;

/// What made a file: the fields of [`super::identity`], as text.
pub type About = BTreeMap<String, String>;

/// Rows that are being written.
pub struct Rows {
    path: PathBuf,
    file: BufWriter<File>,
    channels: usize,
}

impl Rows {
    /// Goes on after `rows` rows; whatever is behind them is dropped.
    ///
    /// # Errors
    /// If there are fewer, or the file cannot be written.
    pub fn open(output: &Path, channels: usize, rows: usize) -> Outcome<Self> {
        let path = beside(output, ".partial");
        let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", path.display()));
        let mut file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        let length = (rows * channels * 4) as u64;
        if file.metadata().map_err(failed)?.len() < length {
            return Err(Failure::new(format!(
                "--resume: {} has fewer rows than the record says\nnext: leave out --resume to begin anew",
                path.display()
            )));
        }
        file.set_len(length).and_then(|()| file.seek(SeekFrom::End(0))).map_err(failed)?;
        Ok(Self { path, file: BufWriter::new(file), channels })
    }

    /// Whole rows that an earlier run for `output` left: fewer than its record says, where the disk was full.
    pub fn left(output: &Path, channels: usize) -> usize {
        let length = fs::metadata(beside(output, ".partial")).map_or(0, |data| data.len());
        (length / (channels * 4).max(1) as u64) as usize
    }

    /// Adds a row.
    pub fn append(&mut self, row: &[f32]) -> Outcome<()> {
        debug_assert_eq!(row.len(), self.channels);
        let bytes: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.file.write_all(&bytes).map_err(|error| self.failed(&error))
    }

    /// Hands all rows to the system.
    pub fn flush(&mut self) -> Outcome<()> {
        self.file.flush().map_err(|error| self.failed(&error))
    }

    /// Makes `output` out of the rows: `paths` are theirs, `about` says what they are. The rows stay where they are.
    pub fn write(&mut self, output: &Path, paths: &[String], about: &Value) -> Outcome<()> {
        self.flush()?;
        let shape = [paths.len(), self.channels];
        let list = serde_json::to_string(paths).map_err(std::io::Error::from).map_err(|error| self.failed(&error))?;
        let header = if is_npy(output) { npy_header(shape) } else { safetensors_header(shape, &list, about)? };
        let part = beside(output, ".part");
        let copy = || -> std::io::Result<()> {
            let mut file = BufWriter::new(File::create(&part)?);
            file.write_all(&header)?;
            std::io::copy(&mut File::open(&self.path)?, &mut file)?;
            file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
            if is_npy(output) {
                for (ending, text) in [(".paths.json", list), (".about.json", about.to_string())] {
                    let (place, part) = (beside(output, ending), beside(output, &format!("{ending}.part")));
                    fs::write(&part, text + "\n")?;
                    fs::rename(part, place)?;
                }
            }
            fs::rename(&part, output)
        };
        copy().map_err(|error| Failure::new(format!("{}: cannot be written: {error}", output.display())))
    }

    /// Removes the partial file: all is done.
    pub fn finish(self) {
        let path = self.path.clone();
        drop(self);
        let _ = fs::remove_file(path);
    }

    fn failed(&self, error: &std::io::Error) -> Failure {
        Failure::new(format!("{}: cannot be written: {error}", self.path.display()))
    }
}

/// `path` with `ending` after its whole name.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(ending);
    name.into()
}

fn is_npy(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy"))
}

/// Whether a name is that of a file that can be written here.
pub fn is_known(path: &Path) -> bool {
    is_npy(path) || path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("safetensors"))
}

/// A value as text: what is none, as JSON.
pub fn text(value: &Value) -> String {
    value.as_str().map_or(value.to_string(), str::to_string)
}

/// The fields of an object as text.
fn texts(about: &Value) -> About {
    about.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn safetensors_header([rows, channels]: [usize; 2], paths: &str, about: &Value) -> Outcome<Vec<u8>> {
    let mut metadata = json!({"paths": paths});
    if let Some(fields) = metadata.as_object_mut() {
        // Values of the metadata are text.
        fields.extend(texts(about).into_iter().map(|(name, text)| (name, json!(text))));
    }
    let tensor = json!({"dtype": "F32", "shape": [rows, channels], "data_offsets": [0, rows * channels * 4]});
    let mut header = json!({"__metadata__": metadata, "embeddings": tensor}).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    if header.len() > LARGEST_HEADER {
        return Err(Failure::new(
            "the paths of so many pictures do not fit a safetensors header\nnext: --output FILE.npy, and --resume, which takes the rows that are done",
        ));
    }
    Ok([&(header.len() as u64).to_le_bytes()[..], &header].concat())
}

fn npy_header([rows, channels]: [usize; 2]) -> Vec<u8> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {channels}), }}").into_bytes();
    // Ten bytes come before it; values begin at a multiple of 64, and the header ends with a new line.
    let length = (header.len() + 11).next_multiple_of(64) - 10;
    header.resize(length - 1, b' ');
    header.push(b'\n');
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], &header].concat()
}

/// Embeddings on disk, read a row at a time.
pub struct Index {
    pub paths: Vec<String>,
    pub channels: usize,
    /// What made them, as far as that is known.
    pub about: About,
    file: BufReader<File>,
}

impl Index {
    /// Opens a file that [`Rows::write`] made.
    pub fn open(path: &Path) -> Outcome<Self> {
        Self::read(path)
            .map_err(|why| Failure::new(format!("{}: {why}\nnext: `mobilenet embed PATHS -o FILE` makes an index", path.display())))
    }

    fn read(path: &Path) -> Result<Self, String> {
        let text = |error: std::io::Error| format!("cannot be read: {error}");
        let mut file = BufReader::new(File::open(path).map_err(text)?);
        let (paths, shape, about) = if is_npy(path) {
            let list = beside(path, ".paths.json");
            let list = fs::read_to_string(&list).map_err(|error| format!("its list of paths, {}, {}", list.display(), text(error)))?;
            let about = fs::read_to_string(beside(path, ".about.json")).ok();
            let about: Value = about.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
            (list, npy_shape(&mut file)?, texts(&about))
        } else {
            safetensors_shape(&mut file)?
        };
        let paths: Vec<String> = serde_json::from_str(&paths).map_err(|error| format!("its list of paths is damaged: {error}"))?;
        if paths.len() != shape[0] {
            return Err(format!("{} rows, but {} paths", shape[0], paths.len()));
        }
        Ok(Self { paths, channels: shape[1], about, file })
    }

    /// The next row into `row`.
    pub fn next(&mut self, row: &mut [f32]) -> Outcome<()> {
        let mut bytes = vec![0; row.len() * 4];
        self.file.read_exact(&mut bytes).map_err(|error| Failure::new(format!("the index ends too early: {error}")))?;
        for (value, bytes) in row.iter_mut().zip(bytes.as_chunks().0) {
            *value = f32::from_le_bytes(*bytes);
        }
        Ok(())
    }
}

fn npy_shape(file: &mut impl Read) -> Result<[usize; 2], String> {
    let damaged = || "not an .npy file of ours".to_string();
    let mut start = [0; 10];
    file.read_exact(&mut start).map_err(|_| damaged())?;
    let mut header = vec![0; usize::from(u16::from_le_bytes([start[8], start[9]]))];
    file.read_exact(&mut header).map_err(|_| damaged())?;
    let header = String::from_utf8(header).map_err(|_| damaged())?;
    let shape = header.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')')).ok_or_else(damaged)?.0;
    let shape: Vec<usize> = shape.split(',').filter_map(|n| n.trim().parse().ok()).collect();
    match shape[..] {
        [rows, channels] if start.starts_with(b"\x93NUMPY\x01") && header.contains("'<f4'") => Ok([rows, channels]),
        _ => Err(damaged()),
    }
}

fn safetensors_shape(file: &mut impl Read) -> Result<(String, [usize; 2], About), String> {
    let damaged = || "not a file of embeddings".to_string();
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| damaged())?;
    let length = usize::try_from(u64::from_le_bytes(length)).ok().filter(|length| *length <= LARGEST_HEADER).ok_or_else(damaged)?;
    let mut header = vec![0; length];
    file.read_exact(&mut header).map_err(|_| damaged())?;
    let header: Value = serde_json::from_slice(&header).map_err(|_| damaged())?;
    let tensor = &header["embeddings"];
    let shape = |i: usize| tensor["shape"][i].as_u64().and_then(|n| usize::try_from(n).ok());
    let metadata = &header["__metadata__"];
    match (shape(0), shape(1), metadata["paths"].as_str()) {
        (Some(rows), Some(channels), Some(paths)) if tensor["dtype"] == "F32" && tensor["data_offsets"][0] == 0 => {
            let mut about = texts(metadata);
            about.remove("paths");
            Ok((paths.to_string(), [rows, channels], about))
        }
        _ => Err(damaged()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = std::env::temp_dir().join(format!("mobilenet-index-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for name in ["x.safetensors", "x.npy"] {
            let output = folder.join(name);
            let mut rows = Rows::open(&output, 3, 0).unwrap();
            rows.append(&[1.0, 2.0, 3.0]).unwrap();
            rows.append(&[9.0; 3]).unwrap();
            rows.flush().unwrap();
            drop(rows);
            // Only the first row is on record.
            let mut rows = Rows::open(&output, 3, 1).unwrap();
            rows.append(&[4.0, 5.0, 6.0]).unwrap();
            let paths = ["a.jpg".to_string(), "b \"c\".jpg".to_string()];
            rows.write(&output, &paths, &json!({"model": "m", "normalized": true})).unwrap();
            rows.finish();
            let mut index = Index::open(&output).unwrap();
            assert_eq!((index.paths.as_slice(), index.channels), (&paths[..], 3));
            let mut row = [0.0; 3];
            index.next(&mut row).unwrap();
            index.next(&mut row).unwrap();
            assert_eq!(row, [4.0, 5.0, 6.0]);
            let bytes = fs::read(&output).unwrap();
            if name == "x.npy" {
                assert_eq!(crate::npy::read(&bytes).unwrap(), (vec![2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
            } else {
                let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
                assert_eq!(file.tensor("embeddings").unwrap().shape(), [2, 3]);
            }
            assert_eq!((index.about["model"].as_str(), index.about["normalized"].as_str()), ("m", "true"));
            assert!(!beside(&output, ".partial").exists());
            assert!(Rows::open(&output, 3, 1).is_err(), "rows that are on record are missing");
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
