//! The tool's own settings: a small JSON file in the user's configuration folder.

use crate::failure::{Failure, Outcome};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is in `config.json`; fields that we do not know are kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Config {
    /// What `--model` is where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_model: Option<String>,
    #[serde(flatten)]
    others: serde_json::Map<String, serde_json::Value>,
}

/// The folder of our settings: `MOBILENET_CONFIG_DIR`, else `mobilenet` in the user's configuration folder.
pub fn folder() -> Option<PathBuf> {
    let user = || {
        let xdg = set("XDG_CONFIG_HOME").filter(|p| p.is_absolute());
        let windows = || set("APPDATA").filter(|_| cfg!(windows));
        xdg.or_else(windows).or_else(|| set("HOME").map(|home| home.join(".config"))).map(|p| p.join("mobilenet"))
    };
    set("MOBILENET_CONFIG_DIR").or_else(user)
}

/// The folder of what can be made again: `MOBILENET_CACHE_DIR`, else `mobilenet` in the user's cache folder.
pub fn cache_folder() -> Option<PathBuf> {
    let user = || {
        let xdg = set("XDG_CACHE_HOME").filter(|p| p.is_absolute());
        let windows = || set("LOCALAPPDATA").filter(|_| cfg!(windows));
        xdg.or_else(windows).or_else(|| set("HOME").map(|home| home.join(".cache"))).map(|p| p.join("mobilenet"))
    };
    set("MOBILENET_CACHE_DIR").or_else(user)
}

/// A path in the environment; set to nothing is not set.
fn set(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from)
}

/// Where `scripts/imagenet` puts the model that it makes.
pub fn imagenet_model() -> Option<PathBuf> {
    let data = set("XDG_DATA_HOME").or_else(|| std::env::home_dir().map(|home| home.join(".local/share")))?;
    Some(data.join("mobilenet/models/mobilenet_v2-imagenet.safetensors"))
}

impl Config {
    /// As it stands on disk; empty if there is none.
    pub fn load() -> Outcome<Self> {
        let Some(path) = folder().map(|f| f.join("config.json")) else { return Ok(Self::default()) };
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|e| Failure::new(format!("{}: not the JSON that was expected ({e}); correct or remove it", path.display()))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(Failure::new(format!("{}: cannot be read: {e}", path.display()))),
        }
    }

    /// Writes it, whole or not at all; its place.
    pub fn save(&self) -> Outcome<PathBuf> {
        let folder = folder().ok_or_else(|| Failure::new("no place for settings: set MOBILENET_CONFIG_DIR to a folder"))?;
        let (path, part) = (folder.join("config.json"), folder.join(format!("config.json.{}.part", std::process::id())));
        let text = serde_json::to_string_pretty(self).map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
        std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(&part, text + "\n"))
            .and_then(|()| std::fs::rename(&part, &path))
            .map_err(|e| Failure::new(format!("{}: cannot be written: {e}", path.display())))?;
        Ok(path)
    }
}
