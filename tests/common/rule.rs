//! Checkpoints, inputs and pictures made by rule: the Rust twin of `tests/goldens/rule.py`.
//!
//! `tests/goldens/README.md` states the rule and the format of the cases. Values are bit for bit those that the
//! oracle was given, so every step is integer arithmetic or one f32 operation.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

use safetensors::{Dtype, SafeTensors, View};
use serde::Deserialize;

/// A network in a naming scheme, and what is needed to make its checkpoint (`cases/NAME.json`).
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    pub name: String,
    pub scheme: String,
    pub architecture: String,
    pub width: f64,
    pub classes: Option<usize>,
    #[serde(default)]
    pub background: bool,
    pub padding: String,
    pub bn_eps: f64,
    pub activation: String,
    pub strides: Option<Vec<u32>>,
    #[serde(default)]
    pub folded: bool,
    pub batch: usize,
    pub height: usize,
    pub width_px: usize,
    pub metadata: Option<HashMap<String, String>>,
    pub config: Option<serde_json::Value>,
    dtype: String,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    suffix: String,
    leaves: BTreeMap<String, String>,
    layouts: BTreeMap<String, String>,
    gains: BTreeMap<String, f64>,
    #[serde(default)]
    pub zero_variance: bool,
    #[serde(default)]
    extras: Vec<(String, String, Vec<usize>)>,
    pub units: Vec<Unit>,
    pub probes: Vec<(String, usize, f64)>,
    pub shapes: BTreeMap<String, Vec<usize>>,
}

/// One convolution or dense layer and the batch norm behind it.
#[derive(Clone, Debug, Deserialize)]
pub struct Unit {
    pub source: String,
    pub kind: String,
    pub outputs: usize,
    /// Inputs of one group: 1 for depthwise.
    pub inputs: usize,
    pub kernel_height: usize,
    pub kernel_width: usize,
    convolution: String,
    norm: Option<String>,
}

/// A tensor of a checkpoint, as its file stores it.
pub struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for &Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

impl Stored {
    /// The values as a reader of the file sees them.
    pub fn values(&self) -> Vec<f32> {
        match self.dtype {
            Dtype::F32 => self.bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Dtype::F16 => self.bytes.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            Dtype::BF16 => self.bytes.chunks_exact(2).map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            other => panic!("a weight of type {other:?}"),
        }
    }
    fn floats(dtype: &str, shape: Vec<usize>, values: &[f32]) -> Self {
        let (dtype, bytes) = match dtype {
            "F32" => (Dtype::F32, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
            "F16" => (Dtype::F16, values.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect()),
            "BF16" => (Dtype::BF16, values.iter().flat_map(|&v| half::bf16::from_f32(v).to_le_bytes()).collect()),
            other => panic!("a case of type {other}"),
        };
        Self { dtype, shape, bytes }
    }
    fn integers(shape: Vec<usize>) -> Self {
        let bytes = vec![0; 8 * shape.iter().product::<usize>()];
        Self { dtype: Dtype::I64, shape, bytes }
    }
}

/// The folder of the goldens.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

/// Every case, by name.
pub fn cases() -> Vec<Case> {
    let mut files: Vec<_> = std::fs::read_dir(folder().join("cases")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "json"));
    files.sort();
    files
        .iter()
        .map(|file| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", file.display())))
        .collect()
}

/// The case of that name.
pub fn case(name: &str) -> Case {
    serde_json::from_slice(&std::fs::read(folder().join(format!("cases/{name}.json"))).unwrap()).unwrap()
}

impl Case {
    /// The checkpoint's tensors by their names in the file.
    pub fn tensors(&self) -> BTreeMap<String, Stored> {
        let mut tensors = BTreeMap::new();
        for unit in &self.units {
            for (role, leaf) in &self.leaves {
                if let Some((owner, tensor)) = self.tensor(unit, role) {
                    tensors.insert(format!("{}{owner}{leaf}{}", self.prefix, self.suffix), tensor);
                }
            }
        }
        for (name, dtype, shape) in &self.extras {
            assert_eq!(dtype, "I64");
            tensors.insert(name.clone(), Stored::integers(shape.clone()));
        }
        tensors
    }
    /// The checkpoint as the bytes of a safetensors file.
    pub fn checkpoint(&self) -> Vec<u8> {
        let tensors = self.tensors();
        safetensors::serialize(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)), self.metadata.clone()).unwrap()
    }
    /// `config.json` beside the checkpoint.
    pub fn config_json(&self) -> Option<String> {
        self.config.as_ref().map(ToString::to_string)
    }
    /// The layer's tensor of that role and the layer's name, unless it has none.
    fn tensor(&self, unit: &Unit, role: &str) -> Option<(String, Stored)> {
        let channels = vec![unit.outputs];
        let own_leaf = unit.kind == "depthwise" && self.leaves.contains_key("depthwise");
        let (owner, name) = match role {
            "weight" if !own_leaf => return Some((unit.convolution.clone(), self.kernel(unit))),
            "depthwise" if own_leaf => return Some((unit.convolution.clone(), self.kernel(unit))),
            "weight" | "depthwise" => return None,
            "bias" if unit.norm.is_none() => (unit.convolution.clone(), role),
            "bias" => return None,
            "count" => return unit.norm.clone().map(|norm| (norm, Stored::integers(vec![]))),
            _ => (unit.norm.clone()?, role),
        };
        let value = |n: u32| {
            let u = centred(n);
            match name {
                "bias" => u * 0.1,
                "beta" | "mean" => u * 0.2,
                "gamma" if n % 16 == 5 => -(u * 0.3 + 1.0),
                "gamma" => u * 0.3 + 1.0,
                "variance" if self.zero_variance && n % 32 == 7 => 0.0,
                "variance" => u * 0.5 + 1.0,
                other => panic!("role {other}"),
            }
        };
        let values: Vec<f32> = bits(&format!("{}.{role}", unit.source), unit.outputs).map(value).collect();
        Some((owner, Stored::floats(&self.dtype, channels, &values)))
    }
    fn kernel(&self, unit: &Unit) -> Stored {
        let shape = [unit.outputs, unit.inputs, unit.kernel_height, unit.kernel_width];
        let gain = self.gains[unit.source.rsplit('.').next().unwrap()];
        let fan_in = (unit.inputs * unit.kernel_height * unit.kernel_width) as f64;
        let scale = (3.0 * gain / fan_in).sqrt() as f32;
        let values: Vec<f32> = bits(&format!("{}.weight", unit.source), shape.iter().product()).map(|n| centred(n) * scale).collect();
        let (shape, values) = permuted(shape, &values, &self.layouts[&unit.kind]);
        Stored::floats(&self.dtype, shape, &values)
    }
    /// The input in `[N, C, H, W]` order.
    pub fn input_nchw(&self) -> Vec<f32> {
        let (n, h, w) = (self.batch, self.height, self.width_px);
        let (rows, columns) = (h.div_ceil(8), w.div_ceil(8));
        let of = |name, count| -> Vec<f32> { bits(name, count).map(centred).collect() };
        let tone = of("input.tone", n * 3);
        let square = of("input.square", n * 3 * rows * columns);
        let noise = of("input.noise", n * 3 * h * w);
        (0..n * 3 * h * w)
            .map(|i| {
                let (plane, y, x) = (i / (h * w), i / w % h, i % w);
                (tone[plane] * 0.5 + square[(plane * rows + y / 8) * columns + x / 8] * 0.75) + noise[i] * 0.25
            })
            .collect()
    }
    /// The input in `[N, H, W, C]` order.
    pub fn input_nhwc(&self) -> Vec<f32> {
        let pixels = self.height * self.width_px;
        let planes = self.input_nchw();
        (0..planes.len()).map(|i| planes[(i / (pixels * 3) * 3 + i % 3) * pixels + i / 3 % pixels]).collect()
    }
    /// What the oracle computed: `logits`, `pooled`, and samples (see [`sample`]) of `stem`, `block7`, `features`, `input`.
    pub fn expected(&self) -> BTreeMap<String, Vec<f32>> {
        let bytes = std::fs::read(folder().join(format!("outputs/{}.safetensors", self.name))).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let values = |data: &[u8]| data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        file.tensors().into_iter().map(|(name, view)| (name, values(view.data()))).collect()
    }
}

/// The values of a map in `[N, C, H, W]` order at which the goldens look.
pub fn sample(nchw: &[f32], count: usize) -> Vec<f32> {
    (0..count as u64).map(|i| nchw[(i * 2_654_435_761 % nchw.len() as u64) as usize]).collect()
}

/// ‖found − expected‖ / ‖expected‖; infinite where the lengths differ.
pub fn relative_error(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(expected).map(|(f, e)| f64::from(*f) - f64::from(*e)));
    difference / norm(&mut expected.iter().map(|e| f64::from(*e)))
}

/// The u8 source picture `[H, W, 3]` of the resize goldens (`tests/goldens/resize/README.md`).
pub fn picture(kind: &str, height: usize, width: usize) -> Vec<u8> {
    let noise: Vec<u32> = bits(&format!("picture.{height}x{width}"), height * width * 3).map(|n| n >> 16).collect();
    let value = |i: usize| {
        let (y, x) = (i / 3 / width, i / 3 % width);
        let smooth = match i % 3 {
            0 => x * 255 / (width - 1).max(1),
            1 => y * 255 / (height - 1).max(1),
            _ => (x + y) * 255 / (width + height - 2).max(1),
        };
        match kind {
            "smooth" => smooth as u8,
            "noise" => noise[i] as u8,
            "mixed" => ((3 * smooth + noise[i] as usize) / 4) as u8,
            "edges" if noise[i] < 128 => 0,
            "edges" => 255,
            other => panic!("a picture of kind {other}"),
        }
    };
    (0..height * width * 3).map(value).collect()
}

/// One result of Pillow's resize.
pub struct Resized {
    pub kind: String,
    /// Source height and width.
    pub from: (usize, usize),
    /// Target height and width.
    pub to: (usize, usize),
    /// `bilinear` or `bicubic`.
    pub filter: String,
    /// `[H, W, 3]`.
    pub pixels: Vec<u8>,
}

/// Every result of Pillow's resize.
pub fn resized() -> Vec<Resized> {
    let bytes = std::fs::read(folder().join("resize/pillow.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let size = |text: &str| text.split_once('x').map(|(h, w)| (h.parse().unwrap(), w.parse().unwrap())).unwrap();
    let parse = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        let parts: Vec<_> = name.split('/').collect();
        let pixels = view.data().to_vec();
        Resized { kind: parts[0].into(), from: size(parts[1]), to: size(parts[2]), filter: parts[3].into(), pixels }
    };
    file.tensors().into_iter().map(parse).collect()
}

/// FNV-1a, 64 bits.
fn fnv1a64(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The first `count` values of the hash of a name and an index: 24 bits each.
fn bits(name: &str, count: usize) -> impl Iterator<Item = u32> {
    let hash = fnv1a64(name);
    (1..=count as u64).map(move |i| {
        let z = hash.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as u32
    })
}

/// 24 bits as a number in [-1, 1), exact.
fn centred(n: u32) -> f32 {
    n as f32 * (1.0 / 8_388_608.0) - 1.0
}

/// A kernel in OIHW order in the order of a layout; axes that it does not name have length 1 and vanish.
fn permuted(shape: [usize; 4], values: &[f32], layout: &str) -> (Vec<usize>, Vec<f32>) {
    let axes: Vec<usize> = layout.chars().map(|axis| "OIHW".find(axis).unwrap()).collect();
    let stride = [shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1];
    let new: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
    let source = |mut i: usize| {
        let mut offset = 0;
        for (&axis, &length) in axes.iter().zip(&new).rev() {
            offset += i % length * stride[axis];
            i /= length;
        }
        offset
    };
    let values = (0..values.len()).map(|i| values[source(i)]).collect();
    (new, values)
}
