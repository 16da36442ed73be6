//! `mobilenet convert` and `--model FILE.pth`: files that PyTorch wrote (tests/convert/), whole models, and hostile ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "convert/legacy.rs"]
mod legacy;

use safetensors::{Dtype, SafeTensors};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/convert").join(name)
}

/// A folder that is gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mobilenet-convert-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_mobilenet"))
            .args(arguments)
            .current_dir(&self.0)
            .env("MOBILENET_CONFIG_DIR", &self.0)
            .output()
            .unwrap()
    }
    /// Converts a fixture without asking whether it is a network.
    fn convert(&self, name: &str, more: &[&str]) -> Vec<u8> {
        let (input, output) = (fixture(name), self.path("out.safetensors"));
        let mut arguments = vec!["convert", "--unchecked", input.to_str().unwrap(), output.to_str().unwrap()];
        arguments.extend(more);
        let done = self.run(&arguments);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        std::fs::read(output).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn f32s(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let tensor = file.tensor(name).unwrap();
    assert_eq!(tensor.dtype(), Dtype::F32, "{name}");
    tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// The tensors that tests/convert/make.py wrote, `plus` added to each.
fn assert_tensors(bytes: &[u8], plus: f32) {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let mut names = file.names();
    names.sort_unstable();
    assert_eq!(names, ["brain.weight", "conv.weight", "double.bias", "half.weight", "turned.weight"]);
    assert_eq!(file.tensor("conv.weight").unwrap().shape(), [2, 2, 1, 3]);
    assert_eq!(f32s(&file, "conv.weight"), (0..12).map(|i| i as f32 / 4.0 + plus).collect::<Vec<_>>());
    assert_eq!(f32s(&file, "double.bias"), [0.5 + plus, -0.25 + plus]);
    let turned = file.tensor("turned.weight").unwrap();
    assert_eq!(turned.shape(), [3, 2]);
    assert_eq!(f32s(&file, "turned.weight"), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0].map(|v| v + plus));
    let half = file.tensor("half.weight").unwrap();
    assert_eq!((half.dtype(), half.shape()), (Dtype::F16, &[2, 3][..]));
    // 1/8 is 0x3000 in half precision, 1 + 1/8 is 0x3c80.
    assert_eq!(half.data()[2..4], if plus == 0.0 { [0x00, 0x30] } else { [0x80, 0x3c] });
    assert_eq!(file.tensor("brain.weight").unwrap().dtype(), Dtype::BF16);
}

#[test]
fn both_formats_give_the_same_tensors() {
    let folder = Folder::new("formats");
    assert_tensors(&folder.convert("zip.pth", &[]), 0.0);
    assert_tensors(&folder.convert("legacy.pth", &[]), 0.0);
}

#[test]
fn nested_weights_are_found_and_averages_are_preferred() {
    let folder = Folder::new("nested");
    assert_tensors(&folder.convert("nested.pth", &[]), 1.0);
    assert_tensors(&folder.convert("nested.pth", &["--key", "state_dict"]), 0.0);
    let (input, output) = (fixture("nested.pth"), folder.path("x"));
    let done = folder.run(&["convert", input.to_str().unwrap(), output.to_str().unwrap(), "--key", "weights"]);
    let message = String::from_utf8(done.stderr).unwrap();
    assert!(message.contains("no tensors under the key `weights`") && message.contains("state_dict_ema"), "{message}");
}

#[test]
fn a_map_renames_tensors() {
    let folder = Folder::new("map");
    std::fs::write(folder.path("map.json"), r#"{"double.bias": "features.0.bias"}"#).unwrap();
    let bytes = folder.convert("zip.pth", &["--map", folder.path("map.json").to_str().unwrap()]);
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(f32s(&file, "features.0.bias"), [0.5, -0.25]);
    assert!(file.tensor("double.bias").is_err() && file.tensor("conv.weight").is_ok());
    for (map, says) in [
        (r#"{"none": "a"}"#, "no tensor is called `none`"),
        (r#"{"double.bias": "conv.weight"}"#, "two tensors would be called"),
        ("[]", "not the JSON that --map takes"),
    ] {
        std::fs::write(folder.path("map.json"), map).unwrap();
        let done = folder.run(&["convert", "--unchecked", fixture("zip.pth").to_str().unwrap(), "x.safetensors", "--map", "map.json"]);
        let message = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.code() == Some(2) && message.contains(says), "{message}");
    }
}

#[test]
fn a_file_that_would_run_code_is_refused() {
    let folder = Folder::new("malicious");
    for name in ["malicious_zip.pth", "malicious_legacy.pth"] {
        let input = fixture(name);
        let convert = folder.run(&["convert", "--unchecked", input.to_str().unwrap(), "out.safetensors"]);
        let classify = folder.run(&["inspect", input.to_str().unwrap()]);
        for done in [convert, classify] {
            let message = String::from_utf8_lossy(&done.stderr).into_owned();
            assert_eq!(done.status.code(), Some(2), "{name}: {message}");
            assert!(message.contains("posix.system") || message.contains("PyTorch"), "{name}: {message}");
        }
        assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0, "{name}: nothing is written and nothing was run");
    }
}

#[test]
fn damaged_files_and_other_files_are_refused() {
    let folder = Folder::new("damaged");
    for name in ["zip.pth", "legacy.pth"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        for length in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
            std::fs::write(folder.path("cut.pth"), &whole[..length]).unwrap();
            let done = folder.run(&["convert", "--unchecked", "cut.pth", "out.safetensors"]);
            assert_eq!(done.status.code(), Some(2), "{name} cut at {length}");
            assert!(!folder.path("out.safetensors").exists());
        }
    }
    let missing = folder.run(&["convert", "missing.pth", "out.safetensors"]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("does not exist"));
    let input = fixture("zip.pth");
    let other = folder.run(&["convert", input.to_str().unwrap(), "out.safetensors"]);
    assert_eq!(other.status.code(), Some(2), "weights that are no MobileNet");
    assert!(!folder.path("out.safetensors").exists());
}

#[test]
fn a_whole_model_works_converted_and_as_it_is() {
    let folder = Folder::new("whole");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let builtin = std::fs::read(manifest.join("builtin/mobilenet_v2_cifar10.safetensors")).unwrap();
    std::fs::write(folder.path("net.pth"), legacy::from_safetensors(&builtin)).unwrap();
    let done = folder.run(&["convert", "net.pth", "net.safetensors"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let (converted, builtin) = (std::fs::read(folder.path("net.safetensors")).unwrap(), SafeTensors::deserialize(&builtin).unwrap());
    let converted = SafeTensors::deserialize(&converted).unwrap();
    for (name, tensor) in builtin.tensors().into_iter().filter(|(_, t)| t.dtype() != Dtype::I64) {
        let found = converted.tensor(&name).unwrap();
        assert_eq!((found.dtype(), found.shape(), found.data()), (tensor.dtype(), tensor.shape(), tensor.data()), "{name}");
    }
    let photo = manifest.join("../assets/cat.png");
    let classify = |model: &str| {
        let done = folder.run(&["classify", photo.to_str().unwrap(), "--cpu", "--json", "--size", "32", "--model", model]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let value: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        value["predictions"].clone()
    };
    assert_eq!(classify("net.pth"), classify("net.safetensors"));
}
