//! keras.applications: V1 `conv1`, `conv_dw_N`, `conv_pw_N`; V2 `Conv1`, `block_N_expand`, `Conv_1` …

use super::{Conventions, HWIO, Part, Scheme, TENSORFLOW, Unit, tensorflow_norm};
use crate::model::{PaddingRule, Version};

pub(super) const SCHEMES: &[Scheme] = &[V2, V1];

const V2: Scheme = Scheme {
    name: "keras",
    version: Version::V2,
    names: v2,
    signature: &["Conv1/kernel", "expanded_conv_project/kernel", "block_1_expand/kernel", "block_2_expand/kernel"],
    heads: &["predictions", "Logits", "logits", "dense", "conv_preds"],
    staged: false,
    separators: &['.', '/'],
    layouts: HWIO,
    conventions: TENSORFLOW,
};

const V1: Scheme = Scheme {
    version: Version::V1,
    names: v1,
    signature: &["conv1/kernel", "conv_pw_1/kernel", "conv_pw_2/kernel"],
    conventions: Conventions { padding: PaddingRule::SameKeras, ..TENSORFLOW },
    ..V2
};

/// `kernel` and `bias` of a layer (a depthwise kernel is `depthwise_kernel` before Keras 3), and its norm.
fn layer(conv: &str, norm: &str, part: Part, depthwise: bool) -> Vec<String> {
    match part {
        Part::Filters if depthwise => vec![format!("{conv}/depthwise_kernel"), format!("{conv}/kernel")],
        Part::Filters => vec![format!("{conv}/kernel")],
        Part::Bias => vec![format!("{conv}/bias")],
        norm_part => tensorflow_norm(norm, norm_part),
    }
}

fn v1(unit: Unit, part: Part) -> Vec<String> {
    let block = |kind: &str, index: u32, depthwise: bool| {
        let name = format!("conv_{kind}_{}", index + 1);
        layer(&name, &format!("{name}_bn"), part, depthwise)
    };
    match unit {
        Unit::Stem => layer("conv1", "conv1_bn", part, false),
        Unit::Depthwise(b) => block("dw", b.index, true),
        Unit::Project(b) => block("pw", b.index, false),
        Unit::Logits => layer("conv_preds", "", part, false),
        Unit::Expand(_) | Unit::Last(_) => Vec::new(),
    }
}

fn v2(unit: Unit, part: Part) -> Vec<String> {
    let block = |kind: &str, index: u32, depthwise: bool| {
        let name = match index {
            0 => format!("expanded_conv_{kind}"),
            _ => format!("block_{index}_{kind}"),
        };
        layer(&name, &format!("{name}_BN"), part, depthwise)
    };
    match unit {
        Unit::Stem => layer("Conv1", "bn_Conv1", part, false),
        Unit::Expand(b) => block("expand", b.index, false),
        Unit::Depthwise(b) => block("depthwise", b.index, true),
        Unit::Project(b) => block("project", b.index, false),
        Unit::Last(_) => layer("Conv_1", "Conv_1_bn", part, false),
        Unit::Logits => ["predictions", "Logits"].iter().flat_map(|name| layer(name, "", part, false)).collect(),
    }
}
