//! Parameters as expressions over tensor names: what to read and what to make of it, no bytes.
//!
//! Canonical layouts: dense filters `[Ky, Kx, Cin, Cout]`, depthwise `[Ky, Kx, C]`, linear `[Cin, Cout]`, vectors
//! `[C]`; so the output channel is always the last axis. `Weights` delivers tensors in these layouts.

use crate::{Error, Result};
use std::fmt;

/// Where a parameter's tensors come from: values by our own name, in the canonical layout.
pub type Tensors<'a> = &'a dyn Fn(&str) -> Result<Vec<f32>>;

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
    /// `gamma / sqrt(variance + epsilon)`, in f64 so that folding rounds once.
    fn scale(&self, tensors: Tensors) -> Result<Vec<f64>> {
        let variance = self.variance.evaluate(tensors)?;
        let gamma = self.vector(self.gamma.as_ref(), 1.0, variance.len(), tensors)?;
        let scale = |(i, (gamma, variance)): (usize, (f32, f32))| {
            let scale = f64::from(gamma) / (f64::from(variance) + f64::from(self.epsilon)).sqrt();
            if (scale as f32).is_finite() {
                return Ok(scale);
            }
            let message = format!("channel {i}: variance {variance} + epsilon {} gives no finite scale", self.epsilon);
            Err(Error::Tensor { name: self.variance.to_string(), message })
        };
        gamma.into_iter().zip(variance).enumerate().map(scale).collect()
    }
    /// One of the vectors, or `default` where it is absent; as long as the variance.
    fn vector(&self, param: Option<&Param>, default: f32, channels: usize, tensors: Tensors) -> Result<Vec<f32>> {
        let Some(param) = param else { return Ok(vec![default; channels]) };
        let values = param.evaluate(tensors)?;
        if values.len() == channels {
            return Ok(values);
        }
        let message = format!("has {} values, `{}` has {channels}", values.len(), self.variance);
        Err(Error::Tensor { name: param.to_string(), message })
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
    /// Its values, from the tensors that it reads. Norms are computed in f64 and rounded once.
    ///
    /// # Errors
    /// What `tensors` gives; [`Error::Tensor`] where lengths do not fit each other, or where a variance and epsilon
    /// give no finite scale.
    pub fn evaluate(&self, tensors: Tensors) -> Result<Vec<f32>> {
        match self {
            Param::Tensor(name) => tensors(name),
            Param::Zeros(n) => Ok(vec![0.0; *n as usize]),
            Param::NormScale(norm) => Ok(norm.scale(tensors)?.into_iter().map(|s| s as f32).collect()),
            Param::Scaled(filters, norm) => {
                let (mut values, scale) = (filters.evaluate(tensors)?, norm.scale(tensors)?);
                if scale.is_empty() || values.len() % scale.len() != 0 {
                    let message = format!("its {} values are not a multiple of the norm's {} channels", values.len(), scale.len());
                    return Err(Error::Tensor { name: filters.to_string(), message });
                }
                for row in values.chunks_exact_mut(scale.len()) {
                    row.iter_mut().zip(&scale).for_each(|(v, s)| *v = (f64::from(*v) * s) as f32);
                }
                Ok(values)
            }
            Param::Shifted(bias, norm) => {
                let scale = norm.scale(tensors)?;
                let bias = norm.vector(bias.as_deref(), 0.0, scale.len(), tensors)?;
                let mean = norm.vector(Some(&norm.mean), 0.0, scale.len(), tensors)?;
                let beta = norm.vector(norm.beta.as_ref(), 0.0, scale.len(), tensors)?;
                let shifted = |i: usize| f64::from(beta[i]) + (f64::from(bias[i]) - f64::from(mean[i])) * scale[i];
                Ok((0..scale.len()).map(|i| shifted(i) as f32).collect())
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Two channels: a negative gamma, and a variance of exactly 0.
    fn tensor(name: &str) -> Result<Vec<f32>> {
        Ok(match name {
            "filters" => vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            "bias" => vec![0.5, -0.5],
            "unit.norm.gamma" => vec![-2.0, 1.0],
            "unit.norm.beta" => vec![10.0, 20.0],
            "unit.norm.mean" => vec![1.0, 2.0],
            "unit.norm.variance" => vec![3.0, 0.0],
            _ => return Err(Error::Tensor { name: name.to_string(), message: "no such tensor".into() }),
        })
    }
    fn norm(epsilon: f32) -> Box<Norm> {
        Box::new(Norm::named("unit", epsilon))
    }

    #[test]
    fn norms_fold_along_the_last_axis() -> Result<()> {
        let scaled = Param::Scaled(Box::new(Param::tensor("filters")), norm(1.0));
        assert_eq!(scaled.evaluate(&tensor)?, [-1.0, 2.0, -3.0, 4.0, -5.0, 6.0]);
        let bias = Some(Box::new(Param::tensor("bias")));
        assert_eq!(Param::Shifted(bias, norm(1.0)).evaluate(&tensor)?, [10.5, 17.5]);
        assert_eq!(Param::Shifted(None, norm(1.0)).evaluate(&tensor)?, [11.0, 18.0]);
        assert_eq!(Param::NormScale(norm(1.0)).evaluate(&tensor)?, [-1.0, 1.0]);
        Ok(())
    }

    #[test]
    fn absent_gamma_and_beta_change_nothing() -> Result<()> {
        let norm = Box::new(Norm { gamma: None, beta: None, ..*norm(1.0) });
        assert_eq!(Param::NormScale(norm.clone()).evaluate(&tensor)?, [0.5, 1.0]);
        assert_eq!(Param::Shifted(None, norm).evaluate(&tensor)?, [-0.5, -2.0]);
        Ok(())
    }

    #[test]
    fn a_variance_of_zero_needs_an_epsilon() -> Result<()> {
        assert!((Param::NormScale(norm(1e-5)).evaluate(&tensor)?[1] - 316.227_77).abs() < 1e-3);
        let error = Param::NormScale(norm(0.0)).evaluate(&tensor).map_err(|e| e.to_string());
        assert_eq!(error, Err("tensor `unit.norm.variance`: channel 1: variance 0 + epsilon 0 gives no finite scale".into()));
        Ok(())
    }

    #[test]
    fn lengths_that_do_not_fit_are_errors() {
        let scaled = Param::Scaled(Box::new(Param::tensor("odd")), norm(1.0));
        let odd = |name: &str| if name == "odd" { Ok(vec![0.0; 5]) } else { tensor(name) };
        assert!(scaled.evaluate(&odd).is_err());
        assert!(Param::Shifted(Some(Box::new(Param::tensor("odd"))), norm(1.0)).evaluate(&odd).is_err());
        assert!(Param::tensor("odd").evaluate(&tensor).is_err());
    }
}
