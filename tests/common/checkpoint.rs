//! A safetensors file taken apart, to be changed and put together again.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use safetensors::{Dtype, SafeTensors, View};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// One tensor.
#[derive(Clone)]
pub struct Entry {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl Entry {
    pub fn f32(shape: &[usize], values: &[f32]) -> Self {
        Self { dtype: Dtype::F32, shape: shape.to_vec(), bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
    }
    pub fn filled(shape: &[usize], value: f32) -> Self {
        Self::f32(shape, &vec![value; shape.iter().product()])
    }
    pub fn values(&self) -> Vec<f32> {
        assert_eq!(self.dtype, Dtype::F32);
        self.bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }
}

impl View for &Entry {
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

/// A checkpoint by name.
#[derive(Clone, Default)]
pub struct Checkpoint {
    pub tensors: BTreeMap<String, Entry>,
    pub metadata: HashMap<String, String>,
}

impl Checkpoint {
    pub fn parse(bytes: &[u8]) -> Self {
        let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
        let file = SafeTensors::deserialize(bytes).unwrap();
        let entry = |view: safetensors::tensor::TensorView<'_>| Entry {
            dtype: view.dtype(),
            shape: view.shape().to_vec(),
            bytes: view.data().to_vec(),
        };
        let tensors = file.tensors().into_iter().map(|(name, view)| (name, entry(view))).collect();
        Self { tensors, metadata: header.metadata().clone().unwrap_or_default() }
    }
    pub fn bytes(&self) -> Vec<u8> {
        let metadata = (!self.metadata.is_empty()).then(|| self.metadata.clone());
        safetensors::serialize(self.tensors.iter().map(|(name, entry)| (name.as_str(), entry)), metadata).unwrap()
    }
    /// With every name changed.
    pub fn renamed(&self, rename: impl Fn(&str) -> String) -> Self {
        let tensors = self.tensors.iter().map(|(name, entry)| (rename(name), entry.clone())).collect();
        Self { tensors, metadata: self.metadata.clone() }
    }
    pub fn with(mut self, name: &str, entry: Entry) -> Self {
        self.tensors.insert(name.into(), entry);
        self
    }
    pub fn without(mut self, name: &str) -> Self {
        self.tensors.remove(name).unwrap_or_else(|| panic!("no tensor {name}"));
        self
    }
    pub fn with_metadata(mut self, key: &str, value: &str) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }
}
