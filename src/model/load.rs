//! From a place on disk to a checkpoint's bytes and what lies beside it.

use super::model::LoadOptions;
use crate::weights::Bytes;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Largest `config.json` that is read; real ones have some 50 KB.
const LARGEST_CONFIG: u64 = 16 << 20;

fn error<T>(path: &Path, message: impl Into<String>) -> Result<T> {
    Err(Error::File { path: path.to_path_buf(), message: message.into() })
}

/// The checkpoint that `path` means: a file itself, or the one in a folder.
pub(super) fn checkpoint(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return if path.exists() {
            Ok(path.to_path_buf())
        } else {
            error(path, "does not exist; give a .safetensors file or a folder with model.safetensors")
        };
    }
    let model = path.join("model.safetensors");
    if model.is_file() {
        return Ok(model);
    }
    let entries = std::fs::read_dir(path).or_else(|e| error(path, format!("cannot be read: {e}")))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    files.sort();
    let with = |extensions: &[&str]| -> Vec<&PathBuf> {
        let is = |p: &&PathBuf| p.extension().and_then(|e| e.to_str()).is_some_and(|e| extensions.contains(&e));
        files.iter().filter(is).collect()
    };
    match with(&["safetensors"]).as_slice() {
        [one] => return Ok((*one).clone()),
        [] => {}
        several => {
            return error(
                path,
                format!("holds {} .safetensors files and none is called model.safetensors; name the one you mean", several.len()),
            );
        }
    }
    match with(&["pth", "pt", "bin", "onnx", "tflite", "h5", "keras"]).first() {
        Some(other) => {
            let name = other.file_name().unwrap_or_default().to_string_lossy();
            error(path, format!("holds no .safetensors file, but `{name}`: `mobilenet convert` makes one of a PyTorch file"))
        }
        None => error(path, "holds no model: there is no model.safetensors in it"),
    }
}

/// The bytes of the file, mapped, and the options with what lies beside it (where they do not bring their own).
pub(super) fn with_neighbours(file: &Path, options: &LoadOptions) -> Result<(Bytes, LoadOptions)> {
    let mut options = options.clone();
    let bytes = Bytes::map(file)?;
    if options.config_json.is_none() {
        options.config_json = neighbour(file, "config.json")?;
    }
    if options.preprocessor_json.is_none() {
        options.preprocessor_json = neighbour(file, "preprocessor_config.json")?;
    }
    Ok((bytes, options))
}

fn neighbour(file: &Path, name: &str) -> Result<Option<String>> {
    let path = file.with_file_name(name);
    let Ok(metadata) = path.metadata() else { return Ok(None) };
    if !metadata.is_file() {
        return Ok(None);
    }
    if metadata.len() > LARGEST_CONFIG {
        return error(&path, format!("has {} bytes; a model's has a few thousand: remove it", metadata.len()));
    }
    let text = std::fs::read_to_string(&path);
    text.map(Some).or_else(|e| error(&path, format!("cannot be read: {e}; repair or remove it")))
}
