//! Caffe ports (shicai's MobileNet-Caffe and what was made from it): `conv2_1/dw`, `conv2_1/sep`; V2 `conv2_1/expand`,
//! `conv2_1/dwise`, `conv2_1/linear`; with `/bn` (mean, variance, a count that divides both) and `/scale`.

use super::{Conventions, Layouts, OIHW, Part, Scheme, TORCH, Unit};
use crate::graph::Activation;
use crate::model::Version;
use crate::picture::Preprocessing;
use crate::weights::layout::Layout;

pub(super) const SCHEMES: &[Scheme] = &[V2, V1];

const V2: Scheme = Scheme {
    name: "caffe",
    version: Version::V2,
    names: v2,
    signature: &[
        "conv3_1/dwise.weight",
        "conv3_1/dwise/weight",
        "conv3_1/dwise/weights",
        "conv3_1/dwise.0",
        "conv3_1/dwise/0",
        "conv2_1/linear.weight",
        "conv2_1/linear/weight",
        "conv3_1.dwise.weight",
    ],
    heads: &["fc7", "fc", "prob"],
    staged: false,
    separators: &['.', '/'],
    layouts: Layouts { linear: Layout("OIHW"), ..OIHW },
    conventions: Conventions {
        activation: Activation::Relu,
        preprocessing: Preprocessing::CAFFE,
        // Its prototxt goes down at conv4_7 (the stage of 96 channels), not at conv4_3 (64).
        strides: Some(&[2, 1, 2, 2, 1, 2, 2, 1]),
        ..TORCH
    },
};

const V1: Scheme = Scheme {
    version: Version::V1,
    names: v1,
    signature: &[
        "conv2_1/dw.weight",
        "conv2_1/dw/weight",
        "conv2_1/dw/weights",
        "conv2_1/dw.0",
        "conv2_1/dw/0",
        "conv2_1/sep.weight",
        "conv2_1/sep/weight",
        "conv2_1.dw.weight",
    ],
    conventions: Conventions { strides: None, ..V2.conventions },
    ..V2
};

/// V1's thirteen blocks.
const V1_BLOCKS: [&str; 13] = ["2_1", "2_2", "3_1", "3_2", "4_1", "4_2", "5_1", "5_2", "5_3", "5_4", "5_5", "5_6", "6"];
/// V2's seventeen.
const V2_BLOCKS: [&str; 17] =
    ["2_1", "2_2", "3_1", "3_2", "4_1", "4_2", "4_3", "4_4", "4_5", "4_6", "4_7", "5_1", "5_2", "5_3", "6_1", "6_2", "6_3"];

fn v1(unit: Unit, part: Part) -> Vec<String> {
    let block = |index: u32, kind: &str| V1_BLOCKS.get(index as usize).map_or(Vec::new(), |b| layer(&format!("conv{b}/{kind}"), part));
    match unit {
        Unit::Stem => layer("conv1", part),
        Unit::Depthwise(b) => block(b.index, "dw"),
        Unit::Project(b) => block(b.index, "sep"),
        Unit::Logits => logits(part),
        Unit::Expand(_) | Unit::Last(_) => Vec::new(),
    }
}

fn v2(unit: Unit, part: Part) -> Vec<String> {
    let block = |index: u32, kind: &str| V2_BLOCKS.get(index as usize).map_or(Vec::new(), |b| layer(&format!("conv{b}/{kind}"), part));
    match unit {
        Unit::Stem => layer("conv1", part),
        Unit::Expand(b) => block(b.index, "expand"),
        Unit::Depthwise(b) => block(b.index, "dwise"),
        Unit::Project(b) => block(b.index, "linear"),
        Unit::Last(_) => layer("conv6_4", part),
        Unit::Logits => logits(part),
    }
}

fn logits(part: Part) -> Vec<String> {
    match part {
        Part::Filters | Part::Bias => layer("fc7", part),
        _ => Vec::new(),
    }
}

/// Ports differ in what they call a layer's blobs, and in how they join the names.
fn layer(name: &str, part: Part) -> Vec<String> {
    let (below, leaves): (&str, &[&str]) = match part {
        Part::Filters => ("", &["weight", "weights", "0"]),
        Part::Bias => ("", &["bias", "biases", "1"]),
        Part::Gamma => ("/scale", &["weight", "gamma", "scale", "0"]),
        Part::Beta => ("/scale", &["bias", "beta", "offset", "1"]),
        Part::Mean => ("/bn", &["running_mean", "mean", "0"]),
        Part::Variance => ("/bn", &["running_var", "variance", "var", "1"]),
        Part::NormCount => ("/bn", &["scale_factor", "count", "2"]),
    };
    let slashed = format!("{name}{below}");
    let dotted = slashed.replace('/', ".");
    leaves.iter().flat_map(|leaf| [format!("{slashed}.{leaf}"), format!("{slashed}/{leaf}"), format!("{dotted}.{leaf}")]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stem_is_named_once_dots_or_not() {
        assert!(layer("conv2_1/dw", Part::Mean).contains(&"conv2_1/dw/bn.running_mean".to_string()));
        assert!(layer("conv1", Part::Filters).contains(&"conv1/weights".to_string()));
    }
}
