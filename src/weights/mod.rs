//! Checkpoints: bytes, names and layouts.
//!
//! A file's tensors are known by the graph's names (`block3.expand.filters`) once its naming scheme is recognised
//! (`recognise`, from the names in `schemes`), and are read in the canonical layouts of [`crate::graph::Param`]:
//! converted to f32 and transposed once, at [`Weights::get`]. What must hold: every range lies within the bytes, and a
//! tensor that has a canonical name has the shape that the network wants.

mod architecture;
mod arriving;
mod bytes;
mod file;
mod format;
mod head;
mod layout;
mod names;
mod recognise;
mod schemes;
mod stages;
mod survey;

pub(crate) use architecture::with_strides;
pub use arriving::Arriving;
pub use bytes::Bytes;
pub(crate) use file::File;
pub(crate) use recognise::{Recognised, recognise};

use crate::graph::Param;
use crate::{Error, Result};
use file::Content;
use layout::{Kind, Layout};
use safetensors::Dtype;
use std::collections::HashMap;

/// Where a canonical tensor comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A tensor of the file, as it stands in the file's layout.
    Tensor {
        index: usize,
        kind: Kind,
        layout: Layout,
        /// A tensor of one value that divides it (Caffe's count of batches).
        divisor: Option<usize>,
    },
    /// Values as the caller gave them, in the canonical layout.
    Plain(usize),
    /// A vector that the file leaves out, such as the scale of a norm without one.
    Constant { value: f32, length: usize },
}

impl Source {
    fn tensor(index: usize, kind: Kind, layout: Layout) -> Self {
        Source::Tensor { index, kind, layout, divisor: None }
    }
    fn vector(index: usize) -> Self {
        Self::tensor(index, Kind::Vector, Layout("O"))
    }
    fn divided(index: usize, by: usize) -> Self {
        Source::Tensor { index, kind: Kind::Vector, layout: Layout("O"), divisor: Some(by) }
    }
}

/// The tensors of a network by our own names. Bytes stay where they are (a mapped file, or memory) for as long as this
/// lives: packing for kernels happens more than once.
#[derive(Clone, Debug)]
pub struct Weights {
    file: File,
    sources: HashMap<String, Source>,
}

impl Weights {
    /// Weights of a program's own network: names as the graph has them, shapes and values in the canonical layouts
    /// (filters `[Ky, Kx, Cin, Cout]`, depthwise `[Ky, Kx, C]`, linear `[Cin, Cout]`, vectors `[C]`).
    ///
    /// # Errors
    /// [`Error::Tensor`] if a shape does not fit its values, or a name comes twice.
    pub fn from_tensors<N: Into<String>>(tensors: impl IntoIterator<Item = (N, Vec<usize>, Vec<f32>)>) -> Result<Self> {
        let mut bytes = Vec::new();
        let (mut placed, mut sources) = (Vec::new(), HashMap::new());
        for (name, shape, values) in tensors {
            let name = name.into();
            if shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)) != Some(values.len()) {
                return Err(Error::Tensor { message: format!("shape {shape:?} does not fit {} values", values.len()), name });
            }
            let start = bytes.len();
            bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
            if sources.insert(name.clone(), Source::Plain(placed.len())).is_some() {
                return Err(Error::Tensor { name, message: "is there twice".into() });
            }
            placed.push(file::FileTensor { name, dtype: Dtype::F32, shape, range: start..bytes.len() });
        }
        let length = bytes.len();
        let file = File { content: Content::Whole(bytes.into()), length, tensors: placed, metadata: Default::default() };
        Ok(Self { file, sources })
    }

    pub(crate) fn new(file: File, sources: HashMap<String, Source>) -> Self {
        Self { file, sources }
    }

    pub(crate) fn into_file(self) -> File {
        self.file
    }

    /// The values of a tensor as f32 in its canonical layout.
    ///
    /// # Errors
    /// [`Error::Tensor`] if there is no such tensor, or it holds NaN or infinite values.
    pub fn get(&self, name: &str) -> Result<Vec<f32>> {
        let values = match self.source(name)? {
            Source::Constant { value, length } => return Ok(vec![*value; *length]),
            Source::Plain(index) => self.finite(*index)?,
            Source::Tensor { index, kind, layout, divisor } => {
                let mut values = self.finite(*index)?;
                if let Some(divisor) = divisor {
                    // Caffe takes a count of 0 for "nothing was gathered": all zeros.
                    let count = self.finite(*divisor)?.first().copied().unwrap_or(1.0);
                    let scale = if count == 0.0 { 0.0 } else { 1.0 / count };
                    values.iter_mut().for_each(|v| *v *= scale);
                }
                layout.to_canonical(*kind, &self.file.tensors[*index].shape, values)
            }
        };
        Ok(values)
    }

    /// The values of a parameter, as expressions over these tensors have it (a tensor, a folded norm).
    ///
    /// # Errors
    /// As [`Weights::get`] and [`Param::evaluate`].
    pub fn evaluate(&self, param: &Param) -> Result<Vec<f32>> {
        param.evaluate(&|name| self.get(name))
    }

    /// The shape of a tensor in its canonical layout.
    ///
    /// # Errors
    /// [`Error::Tensor`] if there is no such tensor.
    pub fn shape(&self, name: &str) -> Result<Vec<usize>> {
        Ok(match self.source(name)? {
            Source::Constant { length, .. } => vec![*length],
            Source::Plain(index) => self.file.tensors[*index].shape.clone(),
            Source::Tensor { index, kind: Kind::Vector, .. } => vec![self.file.tensors[*index].elements()],
            Source::Tensor { index, kind, layout, .. } => layout.canonical_shape(*kind, &self.file.tensors[*index].shape),
        })
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.sources.contains_key(name)
    }

    /// The canonical names, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.sources.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// The name that a tensor has in its file; `None` for one that the file leaves out.
    pub fn name_in_file(&self, name: &str) -> Option<&str> {
        match self.sources.get(name)? {
            Source::Tensor { index, .. } | Source::Plain(index) => self.file.tensors.get(*index).map(|t| t.name.as_str()),
            Source::Constant { .. } => None,
        }
    }

    /// The checkpoint's size in bytes, header included.
    pub fn bytes(&self) -> usize {
        self.file.length
    }

    /// The types of the tensors in use, with their number: `F16: 53, F32: 210`.
    pub fn types(&self) -> std::collections::BTreeMap<String, usize> {
        let mut types = std::collections::BTreeMap::new();
        for source in self.sources.values() {
            if let Source::Tensor { index, .. } | Source::Plain(index) = source {
                *types.entry(format!("{:?}", self.file.tensors[*index].dtype)).or_default() += 1;
            }
        }
        types
    }

    /// Number of trained values: all but the norms' running means and variances.
    pub fn parameters(&self) -> u64 {
        let trained = self.sources.iter().filter(|(name, _)| !name.ends_with(".norm.mean") && !name.ends_with(".norm.variance"));
        trained.filter_map(|(_, source)| index_of(source)).map(|i| self.file.tensors[i].elements() as u64).sum()
    }

    /// Whether all that `param` reads is there: always, unless the checkpoint is still arriving.
    pub(crate) fn has(&self, param: &Param) -> bool {
        let read = param.tensors().into_iter().filter_map(|name| self.sources.get(name));
        read.flat_map(indices).all(|index| self.file.data(index).is_some())
    }

    /// How many tensors of the file are there.
    pub(crate) fn arrived(&self) -> usize {
        match &self.file.content {
            Content::Whole(_) => self.file.tensors.len(),
            Content::Arriving(arrived) => arrived.count(),
        }
    }

    /// Waits until more than `count` tensors are there.
    pub(crate) async fn more_than(&self, count: usize) -> Result<()> {
        match &self.file.content {
            Content::Whole(_) => Ok(()),
            Content::Arriving(arrived) => arrived.more_than(count).await,
        }
    }

    /// Waits for the last tensor of a checkpoint that is still arriving, and looks through it as [`Weights::check`] does.
    /// There is nothing to wait for in others, which were looked through when they were read.
    ///
    /// # Errors
    /// What became of the arrival ([`Arriving`]); as [`Weights::check`].
    pub async fn complete(&self) -> Result<()> {
        let Content::Arriving(arrived) = &self.file.content else { return Ok(()) };
        while arrived.count() < self.file.tensors.len() {
            arrived.more_than(arrived.count()).await?;
        }
        self.check()
    }

    /// Whether every byte is there.
    pub(crate) fn is_complete(&self) -> bool {
        self.arrived() == self.file.tensors.len()
    }

    /// Looks through every tensor in use for values that no network has.
    ///
    /// # Errors
    /// [`Error::Tensor`] for the first tensor, by its name in the file, with NaN or infinite values, or with a variance
    /// below 0.
    pub fn check(&self) -> Result<()> {
        let mut used: Vec<(usize, &str)> = self.sources.iter().filter_map(|(name, s)| Some((index_of(s)?, name.as_str()))).collect();
        used.sort_unstable();
        for (index, name) in used {
            let tensor = &self.file.tensors[index];
            if tensor.dtype != Dtype::F32 || !self.file.data(index).is_some_and(all_finite) {
                self.finite(index)?;
            }
            if name.ends_with(".norm.variance") && self.get(name)?.iter().any(|v| *v < 0.0) {
                return Err(Error::Tensor { name: tensor.name.clone(), message: "a variance below 0; the checkpoint is damaged".into() });
            }
        }
        Ok(())
    }

    fn source(&self, name: &str) -> Result<&Source> {
        self.sources.get(name).ok_or_else(|| Error::Tensor {
            name: name.to_string(),
            message: format!("the weights have no such tensor{}", names::closest(name, self.names().into_iter())),
        })
    }

    /// A tensor's values in the file's order, or the error that names the first bad one.
    fn finite(&self, index: usize) -> Result<Vec<f32>> {
        let tensor = &self.file.tensors[index];
        let values = self.file.values(index)?;
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(values),
            Some(at) => Err(Error::Tensor {
                name: tensor.name.clone(),
                message: format!("value {at} of {} is {}; weights must be finite, the checkpoint is damaged", values.len(), values[at]),
            }),
        }
    }
}

/// All tensors of the file that a source reads.
fn indices(source: &Source) -> impl Iterator<Item = usize> {
    let divisor = match source {
        Source::Tensor { divisor, .. } => *divisor,
        Source::Plain(_) | Source::Constant { .. } => None,
    };
    index_of(source).into_iter().chain(divisor)
}

fn index_of(source: &Source) -> Option<usize> {
    match source {
        Source::Tensor { index, .. } | Source::Plain(index) => Some(*index),
        Source::Constant { .. } => None,
    }
}

/// Whether no f32 has all exponent bits set, looked at in a form that compiles to vector instructions.
fn all_finite(bytes: &[u8]) -> bool {
    const EXPONENT: u32 = 0x7f80_0000;
    let bad = |chunk: &[[u8; 4]]| chunk.iter().fold(false, |bad, b| bad | (u32::from_le_bytes(*b) & EXPONENT == EXPONENT));
    !bytes.as_chunks().0.chunks(4096).any(bad)
}
