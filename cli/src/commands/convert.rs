//! `mobilenet convert`: a PyTorch checkpoint as safetensors.

use crate::failure::{Failure, Outcome, Status, tell};
use crate::options;
use crate::output::{Output, bytes};
use crate::pytorch;
use mobilenet_wgpu::Model;
use mobilenet_wgpu::model::LoadOptions;
use safetensors::SafeTensors;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  mobilenet convert mobilenet_v2-b0353104.pth mobilenet_v2.safetensors
  mobilenet convert checkpoint.pth.tar out.safetensors --key state_dict
  mobilenet convert odd.pth out.safetensors --map names.json         tensors renamed, so that no command needs the map again
  mobilenet classify photo.jpg --model mobilenet_v2-b0353104.pth     works without converting, too

Reads what torch.save writes, zip and legacy format, and never runs code from the file. Weights below state_dict, model,
state_dict_ema and the like are found; f32, f16 and bf16 stay what they are.";

/// Convert a PyTorch checkpoint to safetensors
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The PyTorch checkpoint (.pth, .pt, .bin)
    input: PathBuf,
    /// The safetensors file to write
    output: PathBuf,
    /// Key under which the weights are in the file [default: the usual ones]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// JSON that renames tensors: {"name in the file": "name in a scheme that we know"}
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// Write it even if it is no MobileNet that we know
    #[arg(long)]
    unchecked: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Converts the file.
pub fn run(arguments: &Arguments) -> Outcome {
    let mut converted = pytorch::convert(&arguments.input, arguments.key.as_deref())?;
    if let Some(file) = &arguments.map {
        let map = options::name_map(file)?;
        converted.bytes = renamed(&converted.bytes, &map).map_err(|why| Failure::new(format!("--map {}: {why}", file.display())))?;
    }
    if !arguments.unchecked {
        Model::from_bytes(converted.bytes.clone(), &LoadOptions::default()).map_err(|error| {
            Failure::new(format!(
                "{}: {error}\nnext: --key KEY if the weights are elsewhere in the file, --map FILE.json if tensors are called otherwise, --unchecked to \
                 write it all the same",
                arguments.input.display()
            ))
        })?;
    }
    write_whole(&arguments.output, &converted.bytes)?;
    let other: Vec<_> = converted.left.iter().filter(|name| !name.ends_with("num_batches_tracked")).collect();
    if !other.is_empty() {
        tell(&format!("note: {} tensors that are no floating-point numbers were left, such as `{}`", other.len(), other[0]));
    }
    let mut out = Output::new();
    let place = converted.key.as_ref().map_or(String::new(), |key| format!(", from `{key}`"));
    if arguments.json {
        let size = converted.bytes.len();
        out.json(&json!({"output": arguments.output, "format": converted.format, "key": converted.key, "tensors": converted.tensors, "bytes": size}))?;
    } else {
        let (tensors, size) = (converted.tensors, bytes(converted.bytes.len() as u64));
        out.line(format!("{}: {tensors} tensors{place} ({}), {size}", arguments.output.display(), converted.format))?;
    }
    out.flush()?;
    Ok(Status::Good)
}

/// A safetensors file with its tensors renamed.
fn renamed(bytes: &[u8], map: &BTreeMap<String, String>) -> Result<Vec<u8>, String> {
    let text = |error: safetensors::SafeTensorError| error.to_string();
    let file = SafeTensors::deserialize(bytes).map_err(text)?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(text)?;
    if let Some(missing) = map.keys().find(|name| file.tensor(name).is_err()) {
        let some: Vec<_> = file.names().into_iter().take(3).map(|name| format!("`{name}`")).collect();
        return Err(format!("no tensor is called `{missing}`; there are {} …", some.join(", ")));
    }
    let mut tensors = BTreeMap::new();
    for (name, tensor) in file.iter() {
        let to = map.get(name).map_or(name, String::as_str);
        if tensors.insert(to, tensor).is_some() {
            return Err(format!("two tensors would be called `{to}`\nnext: give each a name of its own"));
        }
    }
    safetensors::serialize(tensors, header.metadata().clone()).map_err(text)
}

/// Writes beside the place and renames, so that no half file is ever there.
pub fn write_whole(path: &Path, content: &[u8]) -> Outcome<()> {
    let name = path.file_name().ok_or_else(|| Failure::new(format!("{}: is not the name of a file", path.display())))?;
    let part = path.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
    std::fs::write(&part, content).and_then(|()| std::fs::rename(&part, path)).map_err(|error| {
        let _ = std::fs::remove_file(&part);
        Failure::new(format!("{}: cannot be written: {error}", path.display()))
    })
}
