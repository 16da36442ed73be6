//! timm's `mobilenetv1_*` and `mobilenetv2_*`: `conv_stem`, `blocks.STAGE.INDEX.conv_pw`, `bn1` …

use super::{Block, Conventions, OIHW, Part, Scheme, TORCH, Unit, torch};
use crate::model::Version;
use crate::picture::{Interpolation, Preprocessing};

pub(super) const SCHEMES: &[Scheme] = &[V2, V1];

const V2: Scheme = Scheme {
    name: "timm",
    version: Version::V2,
    names: v2,
    signature: &["blocks.1.0.conv_pwl.weight", "blocks.2.0.conv_pwl.weight", "blocks.3.0.conv_pwl.weight"],
    heads: &["classifier", "fc", "head"],
    staged: true,
    separators: &['.', '/'],
    layouts: OIHW,
    conventions: Conventions { preprocessing: Preprocessing { interpolation: Interpolation::Bicubic, ..Preprocessing::TORCH }, ..TORCH },
};

const V1: Scheme = Scheme {
    version: Version::V1,
    names: v1,
    signature: &["conv_stem.weight", "blocks.0.0.conv_dw.weight", "blocks.1.0.conv_dw.weight"],
    conventions: Conventions {
        // All of timm's V1 weights were trained on -1..1.
        preprocessing: Preprocessing { interpolation: Interpolation::Bicubic, ..Preprocessing::TENSORFLOW },
        ..TORCH
    },
    ..V2
};

fn v2(unit: Unit, part: Part) -> Vec<String> {
    let layer = |b: Block, conv: &str, norm: u32| {
        let Block { stage, index, .. } = b;
        torch(&format!("blocks.{stage}.{index}.{conv}"), &format!("blocks.{stage}.{index}.bn{norm}"), part)
    };
    match unit {
        Unit::Expand(b) => layer(b, "conv_pw", 1),
        Unit::Depthwise(b) => layer(b, "conv_dw", 1 + u32::from(b.expanded)),
        // A block without expansion is timm's depthwise-separable one, whose second convolution is `conv_pw`.
        Unit::Project(b) if b.expanded => layer(b, "conv_pwl", 3),
        Unit::Project(b) => layer(b, "conv_pw", 2),
        other => ends(other, part),
    }
}

fn v1(unit: Unit, part: Part) -> Vec<String> {
    match unit {
        Unit::Expand(_) => Vec::new(),
        other => v2(other, part),
    }
}

fn ends(unit: Unit, part: Part) -> Vec<String> {
    match unit {
        Unit::Stem => torch("conv_stem", "bn1", part),
        Unit::Last(_) => torch("conv_head", "bn2", part),
        Unit::Logits => torch("classifier", "", part),
        Unit::Expand(_) | Unit::Depthwise(_) | Unit::Project(_) => Vec::new(),
    }
}
