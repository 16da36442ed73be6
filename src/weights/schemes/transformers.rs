//! Hugging Face transformers: `mobilenet_v1.layer.N.convolution`, `mobilenet_v2.layer.N.expand_1x1.convolution` …
//! (`mobilenet_v1.` and `mobilenet_v2.` count as prefixes: the bare models have none).

use super::{Conventions, OIHW, Part, Scheme, TENSORFLOW, Unit, torch};
use crate::model::Version;

pub(super) const SCHEMES: &[Scheme] = &[V2, V1];

const V2: Scheme = Scheme {
    name: "transformers",
    version: Version::V2,
    names: v2,
    signature: &["conv_stem.first_conv.convolution.weight", "layer.0.conv_3x3.convolution.weight", "layer.1.conv_3x3.convolution.weight"],
    heads: &["classifier", "segmentation_head"],
    staged: false,
    separators: &['.', '/'],
    layouts: OIHW,
    // The first block is part of its stem and never has a residual.
    conventions: Conventions { first_residual: false, ..TENSORFLOW },
};

const V1: Scheme = Scheme {
    version: Version::V1,
    names: v1,
    signature: &["conv_stem.convolution.weight", "layer.0.convolution.weight", "layer.1.convolution.weight"],
    ..V2
};

fn layer(name: &str, part: Part) -> Vec<String> {
    torch(&format!("{name}.convolution"), &format!("{name}.normalization"), part)
}

fn v1(unit: Unit, part: Part) -> Vec<String> {
    match unit {
        Unit::Stem => layer("conv_stem", part),
        Unit::Depthwise(b) => layer(&format!("layer.{}", 2 * b.index), part),
        Unit::Project(b) => layer(&format!("layer.{}", 2 * b.index + 1), part),
        Unit::Logits => torch("classifier", "", part),
        Unit::Expand(_) | Unit::Last(_) => Vec::new(),
    }
}

fn v2(unit: Unit, part: Part) -> Vec<String> {
    let block = |index: u32, name: &str| match index {
        0 => layer(&format!("conv_stem.{name}"), part),
        _ => layer(&format!("layer.{}.{name}", index - 1), part),
    };
    match unit {
        Unit::Stem => layer("conv_stem.first_conv", part),
        Unit::Expand(b) => block(b.index, "expand_1x1"),
        Unit::Depthwise(b) => block(b.index, "conv_3x3"),
        Unit::Project(b) => block(b.index, "reduce_1x1"),
        Unit::Last(_) => layer("conv_1x1", part),
        Unit::Logits => torch("classifier", "", part),
    }
}
