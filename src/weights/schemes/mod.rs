//! Naming schemes: how each framework calls the tensors of a MobileNet.
//!
//! A scheme says, for a unit and a part of it, which names the tensor may have; everything else (finding a common
//! prefix, which blocks there are, layouts, what is missing) follows from that in `recognise`. A new layout is one file
//! here and one row in [`ALL`].

mod caffe;
mod gluoncv;
mod keras;
mod own;
mod tf_slim;
mod timm;
mod torchvision;
mod transformers;

pub(crate) use own::canonical;

use super::layout::Layout;
use crate::graph::Activation;
use crate::model::{PaddingRule, Version};
use crate::picture::Preprocessing;

/// Every scheme that we know; the order decides nothing but the order of reports.
pub(crate) const ALL: &[&[Scheme]] = &[
    torchvision::SCHEMES,
    timm::SCHEMES,
    transformers::SCHEMES,
    keras::SCHEMES,
    tf_slim::SCHEMES,
    gluoncv::SCHEMES,
    caffe::SCHEMES,
    own::SCHEMES,
];

/// A block's place, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Its stage, where the scheme's names tell; 0 otherwise.
    pub stage: u32,
    /// Its index in the stage.
    pub index: u32,
    /// Whether it has an expansion convolution.
    pub expanded: bool,
}

/// A convolution with its norm, or the classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Stem,
    Expand(Block),
    Depthwise(Block),
    /// V2's projection, V1's pointwise convolution.
    Project(Block),
    /// The last 1x1; with the number of blocks before it, which some schemes count on.
    Last(u32),
    Logits,
}

/// A tensor of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Filters,
    Bias,
    Gamma,
    Beta,
    Mean,
    Variance,
    /// Caffe's: mean and variance are divided by it.
    NormCount,
}

impl Part {
    pub const ALL: [Part; 7] = [Part::Filters, Part::Bias, Part::Gamma, Part::Beta, Part::Mean, Part::Variance, Part::NormCount];
}

/// What follows from a scheme where neither file nor user says otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conventions {
    pub padding: PaddingRule,
    pub bn_eps: f32,
    pub activation: Activation,
    pub preprocessing: Preprocessing,
    /// Strides as `MobileNetConfig::with_strides` takes them, where they are not the paper's.
    pub strides: Option<&'static [u32]>,
    /// Whether V2's first block may have a residual (where channels and stride allow it).
    pub first_residual: bool,
    /// Whether the classifier has a bias; then a missing one is an error.
    pub logits_bias: bool,
}

/// PyTorch's conventions.
pub(crate) const TORCH: Conventions = Conventions {
    padding: PaddingRule::Symmetric,
    bn_eps: 1e-5,
    activation: Activation::Relu6,
    preprocessing: Preprocessing::TORCH,
    strides: None,
    first_residual: true,
    logits_bias: true,
};

/// TensorFlow's conventions.
pub(crate) const TENSORFLOW: Conventions =
    Conventions { padding: PaddingRule::Same, bn_eps: 1e-3, preprocessing: Preprocessing::TENSORFLOW, ..TORCH };

/// Orders of axes that a scheme uses unless the shapes say otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layouts {
    pub dense: Layout,
    pub depthwise: Layout,
    pub linear: Layout,
}

/// PyTorch's.
pub(crate) const OIHW: Layouts = Layouts { dense: Layout("OIHW"), depthwise: Layout("OIHW"), linear: Layout("OI") };
/// TensorFlow's.
pub(crate) const HWIO: Layouts = Layouts { dense: Layout("HWIO"), depthwise: Layout("HWOI"), linear: Layout("IO") };

/// One framework's names for one of the two networks.
#[derive(Clone, Copy)]
pub(crate) struct Scheme {
    /// The framework, as reports call it.
    pub name: &'static str,
    pub version: Version,
    /// The names a unit's part may have, likeliest first; none where the scheme has no such tensor.
    pub names: fn(Unit, Part) -> Vec<String>,
    /// Names of which a file has at least one, with any prefix; they also tell the prefix.
    pub signature: &'static [&'static str],
    /// First components of names under which classifiers are kept.
    pub heads: &'static [&'static str],
    /// Whether blocks are named by stage and index.
    pub staged: bool,
    /// Characters that end a prefix.
    pub separators: &'static [char],
    pub layouts: Layouts,
    pub conventions: Conventions,
}

/// A name for reports: `torchvision (MobileNet V2)`.
impl std::fmt::Display for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.version)
    }
}

/// `LAYER.weight`, `LAYER.bias` of a convolution and PyTorch's names of a norm.
fn torch(conv: &str, norm: &str, part: Part) -> Vec<String> {
    let (layer, leaf) = match part {
        Part::Filters => (conv, "weight"),
        Part::Bias => (conv, "bias"),
        Part::Gamma => (norm, "weight"),
        Part::Beta => (norm, "bias"),
        Part::Mean => (norm, "running_mean"),
        Part::Variance => (norm, "running_var"),
        Part::NormCount => return Vec::new(),
    };
    if layer.is_empty() { Vec::new() } else { vec![format!("{layer}.{leaf}")] }
}

/// TensorFlow's names of a norm.
fn tensorflow_norm(norm: &str, part: Part) -> Vec<String> {
    let leaf = match part {
        Part::Gamma => "gamma",
        Part::Beta => "beta",
        Part::Mean => "moving_mean",
        Part::Variance => "moving_variance",
        Part::Filters | Part::Bias | Part::NormCount => return Vec::new(),
    };
    if norm.is_empty() { Vec::new() } else { vec![format!("{norm}/{leaf}")] }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two units of one scheme never share a name, or tensors would be read twice.
    #[test]
    fn names_are_unique() {
        for scheme in ALL.iter().copied().flatten() {
            let mut seen = std::collections::HashMap::new();
            let mut units = vec![Unit::Stem, Unit::Last(17), Unit::Logits];
            for index in 0..17 {
                let expanded = scheme.version == Version::V2 && index > 0;
                let block = match scheme.staged {
                    true => Block { stage: index / 4, index: index % 4, expanded },
                    false => Block { stage: 0, index, expanded },
                };
                units.extend([Unit::Depthwise(block), Unit::Project(block)]);
                units.extend(expanded.then_some(Unit::Expand(block)));
            }
            for unit in units {
                for part in Part::ALL {
                    for name in (scheme.names)(unit, part) {
                        let other = seen.insert(name.clone(), (unit, part));
                        assert!(other.is_none_or(|o| o == (unit, part)), "{scheme}: {name} is {unit:?} {part:?} and {other:?}");
                    }
                }
            }
        }
    }
}
