//! The safetensors file: header checked against the file's length, tensors as names, types, shapes and byte ranges.

use super::arriving::Arrived;
use super::{Bytes, format};
use crate::{Error, Result};
use safetensors::tensor::{Dtype, Metadata, SafeTensorError, SafeTensors};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// One tensor of a file.
#[derive(Clone, Debug)]
pub(crate) struct FileTensor {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// Its bytes in the file; checked to lie within.
    pub range: Range<usize>,
}

impl FileTensor {
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
    /// Whether it can be weights; counts and indices cannot.
    pub fn is_float(&self) -> bool {
        matches!(self.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F64)
    }
}

/// Where a file's bytes are.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Whole(Bytes),
    Arriving(Arc<Arrived>),
}

/// A parsed file, in the order of its bytes.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub content: Content,
    /// In bytes, header included.
    pub length: usize,
    pub tensors: Vec<FileTensor>,
    pub metadata: BTreeMap<String, String>,
}

impl File {
    /// Checks and parses; nothing is allocated by a number out of the file that was not checked against its length.
    pub fn parse(bytes: Bytes) -> Result<Self> {
        if let Some(format) = format::other_format(&bytes) {
            return Err(Error::Checkpoint(format!("this is {format}")));
        }
        let header = header_length(&bytes)?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| Error::Checkpoint(explain(&e, bytes.len())))?;
        Ok(Self::of(&metadata, 8 + header, Content::Whole(bytes)))
    }

    /// The file that a header announces, whose tensors arrive later; `head` is the file up to its first tensor.
    pub fn announced(head: &[u8], arrived: Arc<Arrived>) -> Result<Self> {
        let damaged = |e| Error::Checkpoint(explain(&e, head.len()));
        match SafeTensors::read_metadata(head) {
            // The one thing that may be wrong with it: no tensors follow.
            Ok(_) | Err(SafeTensorError::MetadataIncompleteBuffer) => {}
            Err(e) => return Err(damaged(e)),
        }
        let header = std::str::from_utf8(&head[8..]).map_err(|e| damaged(SafeTensorError::InvalidHeader(e)))?;
        let metadata: Metadata = serde_json::from_str(header).map_err(|e| damaged(SafeTensorError::InvalidHeaderDeserialization(e)))?;
        Ok(Self::of(&metadata, head.len(), Content::Arriving(arrived)))
    }

    fn of(metadata: &Metadata, start: usize, content: Content) -> Self {
        let mut tensors: Vec<FileTensor> = metadata
            .tensors()
            .into_iter()
            .map(|(name, info)| {
                let (from, to) = info.data_offsets;
                FileTensor { name, dtype: info.dtype, shape: info.shape.clone(), range: start + from..start + to }
            })
            .collect();
        // The map's order changes from run to run; reports and ties must not.
        tensors.sort_by(|a, b| (a.range.start, a.range.end, &a.name).cmp(&(b.range.start, b.range.end, &b.name)));
        let length = start + metadata.data_len();
        let metadata = metadata.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
        Self { content, length, tensors, metadata }
    }

    /// The bytes of tensor `index`; `None` as long as they have not arrived.
    pub fn data(&self, index: usize) -> Option<&[u8]> {
        match &self.content {
            Content::Whole(bytes) => Some(bytes.get(self.tensors[index].range.clone()).unwrap_or_default()),
            Content::Arriving(arrived) => arrived.tensor(index),
        }
    }

    /// Values of tensor `index` as f32, in the file's order.
    pub fn values(&self, index: usize) -> Result<Vec<f32>> {
        let tensor = &self.tensors[index];
        let late = || Error::Tensor { name: tensor.name.clone(), message: "has not arrived yet; wait for the checkpoint's end".into() };
        let bytes = self.data(index).ok_or_else(late)?;
        match tensor.dtype {
            Dtype::F32 => Ok(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            Dtype::F16 => Ok(bytes.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect()),
            Dtype::BF16 => Ok(bytes.as_chunks().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect()),
            Dtype::F64 => Ok(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect()),
            other => Err(not_weights(&tensor.name, other)),
        }
    }
}

/// The error for a tensor of a type that weights do not have.
pub(crate) fn not_weights(name: &str, dtype: Dtype) -> Error {
    let advice = match dtype {
        Dtype::I8 | Dtype::U8 => "quantised checkpoints are not supported, use the f32 or f16 one",
        _ => "save it as F32, F16 or BF16",
    };
    Error::Tensor { name: name.to_string(), message: format!("weights are F32, F16 or BF16, this is {dtype:?}; {advice}") }
}

/// Length of the JSON header, as the first 8 bytes say; the whole of it must be there.
fn header_length(bytes: &[u8]) -> Result<usize> {
    let file = bytes.len();
    let Some(Ok(length)) = bytes.get(..8).map(<[u8; 8]>::try_from) else {
        return Err(Error::Checkpoint(format!(
            "the file has {file} bytes, a safetensors file begins with 8 bytes of header length; copy the checkpoint again"
        )));
    };
    let length = u64::from_le_bytes(length);
    if bytes.get(8).is_some_and(|b| *b != b'{') {
        return Err(Error::Checkpoint("not a safetensors file (its header is not JSON); a checkpoint is a .safetensors file".into()));
    }
    match usize::try_from(length) {
        Ok(length) if length <= file - 8 => Ok(length),
        _ => Err(Error::Checkpoint(format!(
            "its header says that it is {length} bytes long, the whole file has {file}: the file is cut short or damaged; copy it again"
        ))),
    }
}

pub(super) fn explain(error: &SafeTensorError, length: usize) -> String {
    match error {
        SafeTensorError::MetadataIncompleteBuffer => {
            format!("its tensors do not end where the file does ({length} bytes): it is cut short or damaged; copy it again")
        }
        SafeTensorError::InvalidOffset(name) => format!("the bytes of tensor `{name}` do not follow those before: the header is damaged"),
        SafeTensorError::TensorInvalidInfo => "a tensor's bytes do not fit its shape and type: the header is damaged".into(),
        SafeTensorError::ValidationOverflow => "a tensor's shape is larger than any file: the header is damaged".into(),
        other => format!("its header is damaged ({other}); copy the file again"),
    }
}
