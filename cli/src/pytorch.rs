//! PyTorch checkpoints as safetensors.
//!
//! A pickle is a program. It is read here by an unpickler that knows tensors, containers and numbers and calls nothing; a file
//! that would call something when PyTorch loads it is refused as a whole, as nothing else in it can be trusted.

use crate::failure::{Failure, Outcome};
use pytorch_reader::{DType, FileFormat, PickleValue, PytorchError, PytorchReader, Tensor};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;

/// Where training scripts keep the weights in what they save, in the order in which they are preferred: an average of the
/// weights is what was evaluated, where there is one.
const WRAPPERS: [&str; 10] =
    ["state_dict_ema", "model_ema", "ema_state_dict", "params_ema", "state_dict", "model_state_dict", "model", "net", "network", "params"];

/// Prefixes of every name that wrappers around a module leave.
const MODULE_PREFIXES: [&str; 3] = ["module.", "_orig_mod.", "model."];

/// What was found in a PyTorch checkpoint.
pub struct Converted {
    /// The safetensors file.
    pub bytes: Vec<u8>,
    /// How the file is built, for people.
    pub format: &'static str,
    /// Tensors that were taken.
    pub tensors: usize,
    /// Under which key of the file, or for the whole file none.
    pub key: Option<String>,
    /// Tensors that hold no weights (counters and the like) and were left.
    pub left: Vec<String>,
}

/// Whether a file begins as PyTorch's do: a zip archive, a pickle, or a tar archive.
pub fn is_pytorch(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(512).read_to_end(&mut head));
    // Other formats are zip archives, too; PyTorch's begin with their pickle.
    let zip = || head.starts_with(b"PK\x03\x04") && head.windows(8).any(|name| name == b"data.pkl");
    read.is_ok() && (zip() || matches!(head[..], [0x80, 1..=5, ..]) || head.get(257..262) == Some(b"ustar"))
}

/// Reads a checkpoint and gives it as safetensors; `key` names where the weights are, if the usual places are not right.
///
/// # Errors
/// If the file cannot be read, is damaged, holds no weights, or would run code.
pub fn convert(path: &Path, key: Option<&str>) -> Outcome<Converted> {
    let failed = |error: &PytorchError| Failure::new(format!("checkpoint: {}: {}", path.display(), explain(error)));
    let value = PytorchReader::read_pickle_data(path, None).map_err(|error| failed(&error))?;
    if let Some(call) = dangerous(&value) {
        let why = "a checkpoint has no need of that, so the file is not to be trusted and nothing of it was used";
        return Err(Failure::new(format!("checkpoint: {}: would call `{call}` when PyTorch loads it; {why}", path.display())));
    }
    let reader = PytorchReader::new(path).map_err(|error| failed(&error))?;
    let format = match reader.metadata().format_type {
        FileFormat::Zip => "PyTorch, zip",
        FileFormat::Legacy => "PyTorch, legacy",
        FileFormat::Tar => "PyTorch, tar",
        FileFormat::Pickle => "pickle",
    };
    let (key, tensors) =
        choose(reader.into_tensors(), key).map_err(|why| Failure::new(format!("checkpoint: {}: {why}", path.display())))?;
    let (tensors, left): (Vec<_>, Vec<_>) = tensors.into_iter().partition(|(_, tensor)| weight_type(tensor.dtype()).is_some());
    let left = left.into_iter().map(|(name, _)| name).collect();
    let bytes = encode(path, &tensors)?;
    Ok(Converted { bytes, format, tensors: tensors.len(), key, left })
}

fn explain(error: &PytorchError) -> String {
    match error {
        PytorchError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => "does not exist".into(),
        PytorchError::InvalidFormat(_) => format!("{error}; expected what `torch.save(model.state_dict(), …)` writes"),
        _ => format!("{error}. Is the file whole? In Python `torch.save(model.state_dict(), …)` writes what can be read here"),
    }
}

/// The tensors of the weights by the names of a state dict, and the key under which they were.
fn choose(all: HashMap<String, Tensor>, key: Option<&str>) -> Result<(Option<String>, BTreeMap<String, Tensor>), String> {
    let below = |key: &str| all.keys().any(|name| name.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')));
    let top = || {
        let mut keys: Vec<_> = all.keys().map(|name| name.split('.').next().unwrap_or(name)).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.truncate(12);
        keys.join(", ")
    };
    let key = match key {
        Some(key) if below(key) => Some(key),
        Some(key) => return Err(format!("no tensors under the key `{key}`; at the top there are: {}", top())),
        // A network may call a layer `model` itself: then what is beside it are weights too, and the whole is meant.
        None => WRAPPERS.into_iter().find(|key| below(key)).filter(|key| *key != "model" || !has_layers_beside(&all)),
    };
    let mut tensors: BTreeMap<String, Tensor> = match key {
        Some(key) => all.iter().filter_map(|(name, t)| Some((name.strip_prefix(key)?.strip_prefix('.')?.to_string(), t.clone()))).collect(),
        None => all.iter().map(|(name, t)| (name.clone(), t.clone())).collect(),
    };
    for prefix in MODULE_PREFIXES {
        if tensors.keys().all(|name| name.starts_with(prefix)) {
            tensors = tensors.into_iter().map(|(name, tensor)| (name[prefix.len()..].to_string(), tensor)).collect();
        }
    }
    // A wrapper of averaged weights counts its steps beside the module.
    if tensors.keys().any(|name| name.starts_with("module.")) {
        tensors = tensors.into_iter().filter_map(|(name, tensor)| Some((name.strip_prefix("module.")?.to_string(), tensor))).collect();
    }
    match tensors.values().any(|tensor| weight_type(tensor.dtype()).is_some()) {
        true => Ok((key.map(str::to_string), tensors)),
        false => Err(format!("no floating-point tensors in it; at the top there are: {}", top())),
    }
}

fn has_layers_beside(all: &HashMap<String, Tensor>) -> bool {
    all.keys().any(|name| !name.starts_with("model.") && name.ends_with(".weight") && !name.starts_with("optimizer."))
}

fn weight_type(dtype: DType) -> Option<Dtype> {
    match dtype {
        DType::F32 | DType::F64 => Some(Dtype::F32),
        DType::F16 => Some(Dtype::F16),
        DType::BF16 => Some(Dtype::BF16),
        _ => None,
    }
}

fn encode(path: &Path, tensors: &[(String, Tensor)]) -> Outcome<Vec<u8>> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(format!("checkpoint: {}: {error}", path.display()));
    let mut data = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let dtype = weight_type(tensor.dtype()).unwrap_or(Dtype::F32);
        let bytes = tensor.read().map_err(|error| failed(&error))?;
        let bytes = if tensor.dtype() == DType::F64 { halve(&bytes) } else { bytes };
        data.push((name, dtype, tensor.shape().to_vec(), bytes));
    }
    let views: Result<Vec<_>, _> = data
        .iter()
        .map(|(name, dtype, shape, bytes)| TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view)))
        .collect();
    let source = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let metadata = HashMap::from([("format".to_string(), "pt".to_string()), ("converted_from".to_string(), source)]);
    safetensors::serialize(views.map_err(|error| failed(&error))?, Some(metadata)).map_err(|error| failed(&error))
}

/// f64 to f32.
fn halve(bytes: &[u8]) -> Vec<u8> {
    let (values, _) = bytes.as_chunks::<8>();
    values.iter().flat_map(|value| (f64::from_ne_bytes(*value) as f32).to_ne_bytes()).collect()
}

/// The first thing in the file that does something when it is loaded.
fn dangerous(value: &PickleValue) -> Option<String> {
    match value {
        PickleValue::Unsupported(name) => Some(name.clone()).filter(|name| runs_code(name)),
        PickleValue::List(values) => values.iter().find_map(dangerous),
        PickleValue::Dict(values) => values.values().find_map(dangerous),
        _ => None,
    }
}

fn runs_code(name: &str) -> bool {
    const MODULES: [&str; 22] = [
        "os",
        "posix",
        "nt",
        "subprocess",
        "sys",
        "runpy",
        "shutil",
        "socket",
        "importlib",
        "pty",
        "ctypes",
        "pickle",
        "_pickle",
        "marshal",
        "types",
        "code",
        "webbrowser",
        "asyncio",
        "multiprocessing",
        "urllib",
        "http",
        "operator",
    ];
    const BUILTINS: [&str; 9] = ["eval", "exec", "compile", "open", "getattr", "setattr", "__import__", "input", "apply"];
    let (module, function) = name.rsplit_once('.').unwrap_or(("", name));
    let package = module.split('.').next().unwrap_or(module);
    match package {
        "builtins" | "__builtin__" => BUILTINS.contains(&function),
        _ => MODULES.contains(&package),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_types() {
        for call in ["os.system", "posix.system", "builtins.eval", "__builtin__.exec", "subprocess.Popen", "importlib.import_module"] {
            assert!(runs_code(call), "{call}");
        }
        for harmless in ["argparse.Namespace", "numpy.core.multiarray.scalar", "torch.device", "builtins.set", "collections.OrderedDict"] {
            assert!(!runs_code(harmless), "{harmless}");
        }
    }
}
