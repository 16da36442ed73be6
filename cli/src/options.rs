//! Options that several commands share, with the same words for the same things.

use crate::failure::{Failure, Outcome};
use clap::{Args, ValueEnum};
use mobilenet_wgpu::gpu::{AdapterOptions, DeviceClass, DeviceProfile};
use mobilenet_wgpu::graph::Activation;
use mobilenet_wgpu::kernel::Precision;
use mobilenet_wgpu::model::{LoadOptions, MobileNetConfig, PaddingRule, Settings};
use mobilenet_wgpu::picture::{Interpolation, Resize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Which model, and how it is to be read.
#[derive(Args, Clone, Debug, Default)]
pub struct ModelOptions {
    /// A .safetensors or .pth file, a folder that holds model.safetensors, a name on the hub (ORG/NAME, with @REVISION if
    /// need be), or `builtin`. Without it: MOBILENET_MODEL, the configured default, the built-in model
    #[arg(long, short, value_name = "MODEL")]
    pub model: Option<String>,
    #[command(flatten)]
    pub reading: ReadingOptions,
}

/// A network of the papers.
#[derive(Args, Clone, Debug)]
pub struct PaperOptions {
    /// A network of the papers instead of a checkpoint
    #[arg(long, value_enum, conflicts_with = "model")]
    pub arch: Option<Architecture>,
    /// Width multiplier of that network
    #[arg(long, default_value_t = 1.0, requires = "arch", conflicts_with = "model", value_parser = multiplier)]
    pub width: f32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Architecture {
    V1,
    V2,
}

impl PaperOptions {
    /// The network, if one was asked for.
    pub fn config(&self) -> Option<MobileNetConfig> {
        Some(match self.arch? {
            Architecture::V1 => MobileNetConfig::v1(self.width),
            Architecture::V2 => MobileNetConfig::v2(self.width),
        })
    }
}

/// A width multiplier that a network can have.
fn multiplier(text: &str) -> Result<f32, String> {
    let width = text.parse().ok().filter(|w: &f32| *w > 0.0 && *w <= 16.0);
    width.ok_or_else(|| "expected a number above 0 and up to 16, such as 0.5".into())
}

/// What overrides a checkpoint's scheme, metadata and config.json.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "How the checkpoint is read (each overrides what it says itself)")]
pub struct ReadingOptions {
    /// Height and width of the network's input, such as 224 or 160x224
    #[arg(long, value_name = "HxW")]
    pub size: Option<Size>,
    /// Names of the classes, one a line, in the order of the outputs
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// JSON that renames tensors: {"name in the file": "name in a scheme that we know"}
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,
    /// Padding of the 3x3 convolutions: PyTorch's or TensorFlow's
    #[arg(long, value_enum)]
    pub padding: Option<Padding>,
    /// Epsilon of the batch norms: 1e-5 in PyTorch, 1e-3 in TensorFlow
    #[arg(long, value_name = "E")]
    pub bn_eps: Option<f32>,
    /// Activation after every convolution but V2's projections
    #[arg(long, value_enum)]
    pub activation: Option<ActivationName>,
    /// Whether output 0 is a background class
    #[arg(long, value_name = "BOOL")]
    pub background_class: Option<bool>,
    /// Strides: the stem's, then one a stage (V1: 13, V2: 7), with commas
    #[arg(long, value_name = "S,S…", value_delimiter = ',')]
    pub strides: Option<Vec<u32>>,
    /// Mean that is subtracted from pixels in 0..1, one a channel
    #[arg(long, value_name = "R,G,B")]
    pub mean: Option<Colour>,
    /// Standard deviation by which pixels in 0..1 are divided, one a channel
    #[arg(long, value_name = "R,G,B")]
    pub std: Option<Colour>,
    /// Filter of the resize
    #[arg(long, value_enum)]
    pub interpolation: Option<Filter>,
    /// Share of the short side that the centre crop keeps, such as 0.875
    #[arg(long, value_name = "SHARE", conflicts_with = "squash")]
    pub crop_pct: Option<f32>,
    /// Squeeze the whole picture into the network's size instead of cropping it
    #[arg(long)]
    pub squash: bool,
}

/// `224` or `160x224`.
#[derive(Clone, Copy, Debug)]
pub struct Size(pub [u32; 2]);

impl FromStr for Size {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let side = |s: &str| s.trim().parse::<u32>().ok().filter(|n| *n > 0);
        let size = match text.split_once(['x', 'X']) {
            Some((height, width)) => side(height).zip(side(width)).map(|(h, w)| [h, w]),
            None => side(text).map(|n| [n, n]),
        };
        size.map(Size).ok_or_else(|| "expected one number or HEIGHTxWIDTH, such as 224 or 160x224".into())
    }
}

/// Three numbers with commas, or one for all.
#[derive(Clone, Copy, Debug)]
pub struct Colour([f32; 3]);

impl FromStr for Colour {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Result<Vec<f32>, _> = text.split(',').map(|s| s.trim().parse()).collect();
        let values = match numbers.as_deref() {
            Ok([all]) => [*all; 3],
            Ok([r, g, b]) => [*r, *g, *b],
            _ => return Err("expected three numbers with commas, such as 0.485,0.456,0.406".into()),
        };
        if values.iter().all(|v| (0.0..=1.0).contains(v)) {
            Ok(Colour(values))
        } else {
            Err("expected numbers in 0..1; divide those for 0..255 by 255".into())
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Padding {
    Symmetric,
    Same,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ActivationName {
    Relu6,
    Relu,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Filter {
    Bilinear,
    Bicubic,
}

impl ReadingOptions {
    /// As the library takes them.
    pub fn load_options(&self) -> Outcome<LoadOptions> {
        let name_map = self.map.as_deref().map(name_map).transpose()?.unwrap_or_default();
        Ok(LoadOptions { settings: self.settings()?, name_map, ..LoadOptions::default() })
    }

    fn settings(&self) -> Outcome<Settings> {
        if self.bn_eps.is_some_and(|e| !(e > 0.0 && e < 1.0)) {
            return Err(Failure::new("--bn-eps: expected a small positive number, such as 1e-3"));
        }
        if self.crop_pct.is_some_and(|c| !(c > 0.0 && c <= 1.0)) {
            return Err(Failure::new("--crop-pct: expected a share above 0 and up to 1, such as 0.875"));
        }
        if self.std.is_some_and(|s| s.0.contains(&0.0)) {
            return Err(Failure::new("--std: pixels are divided by it, so it cannot be 0"));
        }
        let labels = self.labels.as_ref().map(|path| read(path)).transpose()?;
        Ok(Settings {
            padding: self.padding.map(|p| match p {
                Padding::Symmetric => PaddingRule::Symmetric,
                Padding::Same => PaddingRule::Same,
            }),
            bn_eps: self.bn_eps,
            activation: self.activation.map(|a| match a {
                ActivationName::Relu6 => Activation::Relu6,
                ActivationName::Relu => Activation::Relu,
            }),
            background_class: self.background_class,
            mean: self.mean.map(|c| c.0),
            std: self.std.map(|c| c.0),
            interpolation: self.interpolation.map(|f| match f {
                Filter::Bilinear => Interpolation::Bilinear,
                Filter::Bicubic => Interpolation::Bicubic,
            }),
            crop_pct: self.crop_pct,
            resize: self.squash.then_some(Resize::Squash),
            strides: self.strides.clone(),
            input_size: self.size.map(|s| s.0),
            labels: labels.map(|text| text.lines().map(|l| l.trim_end().to_string()).filter(|l| !l.is_empty()).collect()),
        })
    }
}

/// The names of tensors that `--map` gives, by their names in the file.
pub fn name_map(path: &Path) -> Outcome<BTreeMap<String, String>> {
    serde_json::from_str(&read(path)?).map_err(|e| {
        let shape = r#"{"name in the file": "name in a scheme that we know"}"#;
        Failure::new(format!("{}: not the JSON that --map takes, {shape}: {e}", path.display()))
    })
}

/// Reads a text file that an option names.
fn read(path: &Path) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|e| Failure::new(format!("{}: cannot be read: {e}", path.display())))
}

/// Where and how it is computed.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Where it is computed")]
pub struct DeviceOptions {
    /// Part of a GPU's name, or its index in `mobilenet adapters` [default: the best one]
    #[arg(long, value_name = "NAME|INDEX")]
    pub adapter: Option<String>,
    /// Backends to look at: vulkan, metal (Apple), dx12 (Windows); several with commas
    #[arg(long, value_name = "NAME")]
    pub backend: Option<String>,
    /// Compute on the CPU, without a GPU
    #[arg(long, conflicts_with_all = ["adapter", "backend"])]
    pub cpu: bool,
    /// Types in memory and arithmetic; auto is f16-storage on GPUs that have it, else f32
    #[arg(long, value_enum, default_value_t, value_name = "TYPE")]
    pub precision: PrecisionName,
    /// Which kernels are fastest here: a record that `mobilenet tune` wrote, `shipped` (those of the program alone) or
    /// `none` [default: your own record of this GPU, then those of the program]
    #[arg(long, value_name = "FILE")]
    pub tuning: Option<String>,
    /// A kernel of your own, taken wherever it applies (see `mobilenet lab new`); the op where the file does not name it
    #[arg(long = "use", value_name = "[OP=]FILE.wgsl", conflicts_with = "cpu")]
    pub kernels: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PrecisionName {
    #[default]
    F32,
    F16Storage,
    F16,
    Auto,
}

impl DeviceOptions {
    /// Which adapter is wished for.
    pub fn adapter_options(&self) -> AdapterOptions {
        AdapterOptions { adapter: self.adapter.clone(), backend: self.backend.clone() }
    }
    /// Whether the CPU may stand in where there is no adapter: not if one was asked for.
    pub fn fallback(&self) -> bool {
        self.adapter.is_none() && self.backend.is_none()
    }
}

impl PrecisionName {
    /// The precision on a device; `None`: the CPU.
    pub fn on(self, profile: Option<&DeviceProfile>) -> Outcome<Precision> {
        match (self, profile) {
            (PrecisionName::F32, _) | (PrecisionName::Auto, None) => Ok(Precision::F32),
            (_, None) => Err(Failure::new("--precision: the CPU computes in f32; use f32 or auto")),
            (PrecisionName::F16Storage, _) => Ok(Precision::F16Storage),
            (PrecisionName::F16, _) => Ok(Precision::F16),
            // In software f16 is unpacked at each load, which costs more than the bytes that it saves.
            (PrecisionName::Auto, Some(profile)) => {
                let gains = profile.f16 && profile.class != DeviceClass::Software;
                Ok(if gains { Precision::F16Storage } else { Precision::F32 })
            }
        }
    }
}

/// A time such as `20s`, `1.5m`, `500ms`, or `20` for seconds.
pub fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let units = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("", 1.0)];
    let found = units.into_iter().find_map(|(unit, factor)| Some((text.trim().strip_suffix(unit)?, factor)));
    let seconds = found.and_then(|(number, factor)| Some(number.trim().parse::<f64>().ok()? * factor));
    let seconds = seconds.filter(|s| s.is_finite() && (0.0..1e6).contains(s));
    seconds.map(std::time::Duration::from_secs_f64).ok_or_else(|| "expected a time such as 20s, 2m or 500ms".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_one_number_or_two() {
        assert_eq!(Size::from_str("224").map(|s| s.0), Ok([224, 224]));
        assert_eq!(Size::from_str("160x224").map(|s| s.0), Ok([160, 224]));
        for bad in ["", "0", "x", "12x", "-3", "1x2x3"] {
            assert!(Size::from_str(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn colours_are_in_0_to_1() {
        assert_eq!(Colour::from_str("0.5").map(|c| c.0), Ok([0.5; 3]));
        assert_eq!(Colour::from_str("0.1, 0.2,0.3").map(|c| c.0), Ok([0.1, 0.2, 0.3]));
        assert!(Colour::from_str("123,117,104").is_err() && Colour::from_str("a").is_err());
    }

    #[test]
    fn auto_never_fails() {
        for profile in [DeviceProfile::phone(), DeviceProfile::desktop(), DeviceProfile::llvmpipe()] {
            let precision = PrecisionName::Auto.on(Some(&profile));
            assert!(matches!(precision, Ok(p) if !p.needs_f16() || profile.f16), "{}", profile.name);
        }
        assert!(matches!(PrecisionName::Auto.on(None), Ok(Precision::F32)));
        assert!(PrecisionName::F16.on(None).is_err());
    }

    #[test]
    fn times_have_units() {
        let ms = |text: &str| seconds(text).map(|d| d.as_millis()).ok();
        assert_eq!(["20", "20s", "1.5m", "500ms", "0"].map(ms), [Some(20_000), Some(20_000), Some(90_000), Some(500), Some(0)]);
        assert_eq!(["", "s", "-1", "1h", "NaN"].map(ms), [None; 5]);
    }
}
