//! From `--model` and what stands in for it to a loaded model: the one place where that is decided.

use crate::config::Config;
use crate::failure::{Failure, Outcome, tell};
use crate::options::ModelOptions;
use mobilenet_wgpu::model::{LoadOptions, Model};
use std::path::{Path, PathBuf};

/// The name of the built-in model.
pub const BUILTIN: &str = "builtin";

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file, or a folder that holds one.
    Path(PathBuf),
    /// The network that is part of this program.
    Builtin,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Path(path) => write!(f, "{}", path.display()),
            Source::Builtin => f.write_str(BUILTIN),
        }
    }
}

/// Loads the model that the options mean, and says on standard error if it is the built-in one for want of a choice.
pub fn load(options: &ModelOptions) -> Outcome<(Model, Source)> {
    let (source, chosen) = resolve(options)?;
    if source == Source::Builtin && !chosen {
        tell(
            "note: the built-in model knows ten classes of small pictures (CIFAR-10); for ImageNet's thousand: scripts/imagenet, or --model FILE.safetensors",
        );
    }
    let model = open(&source, &options.reading.load_options()?)?;
    Ok((model, source))
}

/// Where the model is, and whether it was chosen by anybody.
fn resolve(options: &ModelOptions) -> Outcome<(Source, bool)> {
    let variable = || std::env::var("MOBILENET_MODEL").ok().filter(|v| !v.is_empty());
    if let Some(name) = &options.model {
        return Ok((named(name, "--model")?, true));
    }
    if let Some(name) = variable() {
        return Ok((named(&name, "MOBILENET_MODEL")?, true));
    }
    match Config::load()?.default_model {
        Some(name) => Ok((named(&name, "the configured default model")?, true)),
        None => Ok((Source::Builtin, false)),
    }
}

/// What a name means: an existing file or folder, the built-in model, else a name on the hub.
fn named(name: &str, from: &str) -> Outcome<Source> {
    let path = Path::new(name);
    if path.exists() {
        return Ok(Source::Path(path.to_path_buf()));
    }
    if name == BUILTIN {
        return Ok(Source::Builtin);
    }
    Err(Failure::new(format!(
        "{from}: `{name}` does not exist\nnext: give a .safetensors file, a folder with model.safetensors, or `{BUILTIN}`"
    )))
}

fn open(source: &Source, options: &LoadOptions) -> Outcome<Model> {
    match source {
        Source::Path(path) => Ok(Model::open_with(path, options)?),
        Source::Builtin => builtin(options),
    }
}

#[cfg(feature = "builtin-model")]
fn builtin(options: &LoadOptions) -> Outcome<Model> {
    const BYTES: &[u8] = include_bytes!("../builtin/mobilenet_v2_cifar10.safetensors");
    Ok(Model::from_bytes(BYTES, options)?)
}

#[cfg(not(feature = "builtin-model"))]
fn builtin(_: &LoadOptions) -> Outcome<Model> {
    Err(Failure::new("this program was built without its model (feature `builtin-model`)\nnext: --model FILE.safetensors"))
}
