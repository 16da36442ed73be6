//! GluonCV and MXNet's model zoo: `mobilenetv20_features_linearbottleneckN_convK_weight`, `mobilenet0_convK_weight`
//! (the block's name in front counts as a prefix), and the names by structure of newer `save_parameters` files.

use super::{Conventions, OIHW, Part, Scheme, TORCH, Unit};
use crate::graph::Activation;
use crate::model::Version;

pub(super) const SCHEMES: &[Scheme] = &[V2, V1, V2_BY_STRUCTURE, V1_BY_STRUCTURE];

const V2: Scheme = Scheme {
    name: "gluoncv",
    version: Version::V2,
    names: v2,
    signature: &["features_linearbottleneck0_conv1_weight", "features_linearbottleneck1_conv1_weight"],
    heads: &["output", "dense0"],
    staged: false,
    separators: &['.', '/', '_'],
    layouts: OIHW,
    conventions: Conventions { logits_bias: false, ..TORCH },
};

const V1: Scheme = Scheme {
    version: Version::V1,
    names: v1,
    signature: &["conv25_weight", "conv26_weight", "conv13_weight"],
    conventions: Conventions { activation: Activation::Relu, ..TORCH },
    ..V2
};

const V2_BY_STRUCTURE: Scheme =
    Scheme { names: v2_by_structure, signature: &["features.3.out.0.weight", "features.4.out.0.weight"], separators: &['.', '/'], ..V2 };

const V1_BY_STRUCTURE: Scheme =
    Scheme { names: v1_by_structure, signature: &["features.1.running_var", "features.78.weight"], separators: &['.', '/'], ..V1 };

fn layer(conv: &str, norm: &str, separator: char, part: Part) -> Vec<String> {
    let (layer, leaf) = match part {
        Part::Filters => (conv, "weight"),
        Part::Bias => (conv, "bias"),
        Part::Gamma => (norm, "gamma"),
        Part::Beta => (norm, "beta"),
        Part::Mean => (norm, "running_mean"),
        Part::Variance => (norm, "running_var"),
        Part::NormCount => return Vec::new(),
    };
    if layer.is_empty() { Vec::new() } else { vec![format!("{layer}{separator}{leaf}")] }
}

fn v1(unit: Unit, part: Part) -> Vec<String> {
    let numbered = |k: u32| layer(&format!("conv{k}"), &format!("batchnorm{k}"), '_', part);
    match unit {
        Unit::Stem => numbered(0),
        Unit::Depthwise(b) => numbered(2 * b.index + 1),
        Unit::Project(b) => numbered(2 * b.index + 2),
        Unit::Logits => layer("dense0", "", '_', part),
        Unit::Expand(_) | Unit::Last(_) => Vec::new(),
    }
}

fn v2(unit: Unit, part: Part) -> Vec<String> {
    let numbered = |place: &str, k: u32| layer(&format!("features_{place}conv{k}"), &format!("features_{place}batchnorm{k}"), '_', part);
    let block = |index: u32, k: u32| numbered(&format!("linearbottleneck{index}_"), k);
    match unit {
        Unit::Stem => numbered("", 0),
        // Every block has an expansion there, the first one too (t = 1).
        Unit::Expand(b) => block(b.index, 0),
        Unit::Depthwise(b) => block(b.index, 1),
        Unit::Project(b) => block(b.index, 2),
        Unit::Last(_) => numbered("", 1),
        Unit::Logits => layer("output_pred", "", '_', part),
    }
}

/// `features.K`: convolution, norm and activation counted.
fn v1_by_structure(unit: Unit, part: Part) -> Vec<String> {
    let at = |k: u32| layer(&format!("features.{k}"), &format!("features.{}", k + 1), '.', part);
    match unit {
        Unit::Stem => at(0),
        Unit::Depthwise(b) => at(6 * b.index + 3),
        Unit::Project(b) => at(6 * b.index + 6),
        Unit::Logits => layer("output", "", '.', part),
        Unit::Expand(_) | Unit::Last(_) => Vec::new(),
    }
}

fn v2_by_structure(unit: Unit, part: Part) -> Vec<String> {
    let at = |k: u32| layer(&format!("features.{k}"), &format!("features.{}", k + 1), '.', part);
    let block = |index: u32, k: u32| {
        let name = format!("features.{}.out", index + 3);
        layer(&format!("{name}.{k}"), &format!("{name}.{}", k + 1), '.', part)
    };
    match unit {
        Unit::Stem => at(0),
        Unit::Expand(b) => block(b.index, 0),
        Unit::Depthwise(b) => block(b.index, 3),
        Unit::Project(b) => block(b.index, 6),
        Unit::Last(blocks) => at(blocks + 3),
        Unit::Logits => layer("output.0", "", '.', part),
    }
}
