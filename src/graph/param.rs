//! Parameters as expressions over tensor names: what to read and what to make of it, no bytes.
//!
//! Canonical layouts: dense filters `[Ky, Kx, Cin, Cout]`, depthwise `[Ky, Kx, C]`, linear `[Cin, Cout]`, vectors
//! `[C]`; so the output channel is always the last axis. `Weights` delivers tensors in these layouts.

use std::fmt;

/// The vectors of a batch normalisation.
#[derive(Clone, Debug, PartialEq)]
pub struct Norm {
    /// Scale; absent means 1 (Keras `scale=False`).
    pub gamma: Option<Param>,
    /// Offset; absent means 0.
    pub beta: Option<Param>,
    /// Running mean.
    pub mean: Param,
    /// Running variance.
    pub variance: Param,
    /// Added to the variance: 1e-5 in PyTorch's checkpoints, 1e-3 in TensorFlow's.
    pub epsilon: f32,
}

impl Norm {
    /// The norm of `unit` by our names: `UNIT.norm.{gamma,beta,mean,variance}`.
    pub fn named(unit: &str, epsilon: f32) -> Self {
        let tensor = |part: &str| Param::tensor(format!("{unit}.norm.{part}"));
        Self { gamma: Some(tensor("gamma")), beta: Some(tensor("beta")), mean: tensor("mean"), variance: tensor("variance"), epsilon }
    }
    /// The vectors that it reads.
    pub fn params(&self) -> Vec<&Param> {
        self.gamma.iter().chain(&self.beta).chain([&self.mean, &self.variance]).collect()
    }
}

/// An expression that gives f32 values in the canonical layout. Its text (`Display`) is its identity.
#[derive(Clone, Debug, PartialEq)]
pub enum Param {
    /// A tensor by our own name (`block3.expand.filters`), which `Weights` maps to the file's.
    Tensor(String),
    /// `filters * gamma / sqrt(variance + epsilon)` along the last axis.
    Scaled(Box<Param>, Box<Norm>),
    /// `beta + (bias - mean) * gamma / sqrt(variance + epsilon)`; no bias is 0.
    Shifted(Option<Box<Param>>, Box<Norm>),
    /// `gamma / sqrt(variance + epsilon)`: the scale of a norm that stays a node.
    NormScale(Box<Norm>),
    /// A vector of zeros, for a kernel that wants a bias where there is none.
    Zeros(u32),
}

impl Param {
    /// A tensor by name.
    pub fn tensor(name: impl Into<String>) -> Self {
        Param::Tensor(name.into())
    }
    /// Names of the tensors that it reads.
    pub fn tensors(&self) -> Vec<&str> {
        match self {
            Param::Tensor(name) => vec![name],
            Param::Scaled(p, n) => p.tensors().into_iter().chain(n.params().into_iter().flat_map(Param::tensors)).collect(),
            Param::Shifted(p, n) => p.iter().flat_map(|p| p.tensors()).chain(n.params().into_iter().flat_map(Param::tensors)).collect(),
            Param::NormScale(n) => n.params().into_iter().flat_map(Param::tensors).collect(),
            Param::Zeros(_) => Vec::new(),
        }
    }
}

impl fmt::Display for Norm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |p: &Option<Param>| p.as_ref().map_or("-".to_string(), ToString::to_string);
        write!(f, "norm({}, {}, {}, {}, {:e})", one(&self.gamma), one(&self.beta), self.mean, self.variance, self.epsilon)
    }
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Param::Tensor(name) => f.write_str(name),
            Param::Scaled(p, n) => write!(f, "scaled({p}, {n})"),
            Param::Shifted(Some(p), n) => write!(f, "shifted({p}, {n})"),
            Param::Shifted(None, n) => write!(f, "shifted(0, {n})"),
            Param::NormScale(n) => write!(f, "scale({n})"),
            Param::Zeros(n) => write!(f, "zeros({n})"),
        }
    }
}
