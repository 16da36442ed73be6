//! From `--model` and what stands in for it to a loaded model: the one place where that is decided.

use crate::config::Config;
use crate::failure::{Failure, Outcome, tell};
use crate::options::ModelOptions;
use crate::pytorch;
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
            "note: the built-in model knows ten classes of small pictures (CIFAR-10); for ImageNet's thousand: scripts/imagenet, or --model google/mobilenet_v2_1.0_224",
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
        Some(name) => named(&name, "the configured default model").map(|source| (source, true)).map_err(|failure| {
            failure.with_next(&format!("another --model, or `mobilenet models --set-default {BUILTIN}` to go back to the built-in one"))
        }),
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
    if is_hub_name(name) {
        return on_hub(name, from);
    }
    Err(Failure::new(format!(
        "{from}: `{name}` does not exist\nnext: give a .safetensors or .pth file, a folder with model.safetensors, a name on the hub (`mobilenet models` \
         lists some), or `{BUILTIN}`"
    )))
}

/// Whether a name may be one on the hub, `organisation/name`; what ends as checkpoints do is a file that is missing.
pub fn is_hub_name(name: &str) -> bool {
    const FILES: [&str; 6] = ["safetensors", "pth", "pt", "bin", "ckpt", "tar"];
    let is_file = Path::new(name).extension().and_then(|e| e.to_str()).is_some_and(|e| FILES.contains(&e));
    let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/@".contains(&b));
    let parts = name.split('@').next().map_or(0, |n| n.split('/').filter(|part| !part.is_empty()).count());
    !is_file && letters && parts == 2 && !name.starts_with(['.', '/'])
}

/// A checkpoint by its name, fetched if it is not in the cache.
#[cfg(feature = "hub")]
fn on_hub(name: &str, from: &str) -> Outcome<Source> {
    use crate::hub::{Environment, Hub, Repository, progress_bar};
    let failed = |error| Failure::new(format!("{from}: `{name}` is no file or folder here, and on the hub: {error}"));
    let repository = Repository::parse(name, None).map_err(failed)?;
    let hub = Hub::new(Environment::from_process());
    if hub.find(&repository).is_none() {
        tell(&format!("note: fetching {repository} (once; `mobilenet pull {repository}` brings a newer one)"));
    }
    let bar = progress_bar();
    let model = hub.get(&repository, &bar);
    bar.finish_and_clear();
    let (model, missing) = model.map_err(failed)?;
    if let Some(why) = missing {
        tell(&no_config(&repository, &why));
    }
    Ok(Source::Path(if model.weights.extension().is_some_and(|e| e == "safetensors") { model.folder } else { model.weights }))
}

/// What to say of a model whose `config.json` is not in the cache.
#[cfg(feature = "hub")]
pub fn no_config(repository: &crate::hub::Repository, why: &crate::hub::HubError) -> String {
    format!(
        "note: {repository}: its config.json is not in the cache, so labels, size and preprocessing are guessed by the weights alone: {why}"
    )
}

#[cfg(not(feature = "hub"))]
fn on_hub(name: &str, from: &str) -> Outcome<Source> {
    Err(Failure::new(format!("{from}: `{name}` does not exist, and this program was built without the hub (feature `hub`)")))
}

fn open(source: &Source, options: &LoadOptions) -> Outcome<Model> {
    match source {
        Source::Path(path) => match pytorch_file(path) {
            Some(file) => open_pytorch(&file, options),
            None => Ok(Model::open_with(path, options)?),
        },
        Source::Builtin => builtin(options),
    }
}

/// PyTorch's file, if that is what a path means.
fn pytorch_file(path: &Path) -> Option<PathBuf> {
    let in_folder = || Some(path.join("pytorch_model.bin")).filter(|_| !path.join("model.safetensors").exists());
    let file = if path.is_dir() { in_folder()? } else { path.to_path_buf() };
    pytorch::is_pytorch(&file).then_some(file)
}

fn open_pytorch(path: &Path, options: &LoadOptions) -> Outcome<Model> {
    let converted = pytorch::convert(path, None)?;
    let beside = |name| std::fs::read_to_string(path.with_file_name(name)).ok();
    let options = LoadOptions {
        config_json: options.config_json.clone().or_else(|| beside("config.json")),
        preprocessor_json: options.preprocessor_json.clone().or_else(|| beside("preprocessor_config.json")),
        ..options.clone()
    };
    Model::from_bytes(converted.bytes, &options).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

/// The built-in model.
#[cfg(feature = "builtin-model")]
pub fn builtin(options: &LoadOptions) -> Outcome<Model> {
    const BYTES: &[u8] = include_bytes!("../builtin/mobilenet_v2_cifar10.safetensors");
    Ok(Model::from_bytes(BYTES, options)?)
}

/// Says that there is no built-in model.
#[cfg(not(feature = "builtin-model"))]
pub fn builtin(_: &LoadOptions) -> Outcome<Model> {
    Err(Failure::new("this program was built without its model (feature `builtin-model`)\nnext: --model FILE.safetensors"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_the_hub_are_told_from_missing_files() {
        for name in ["google/mobilenet_v2_1.0_224", "timm/mobilenetv2_100.ra_in1k", "org/name@refs/pr/1"] {
            assert!(is_hub_name(name), "{name}");
        }
        for name in ["model.safetensors", "models/x.safetensors", "x/y.pth", "./a/b", "/a/b", "a/b/c", "mobilenet"] {
            assert!(!is_hub_name(name), "{name}");
        }
    }
}
