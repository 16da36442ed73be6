//! TF-slim: `MobilenetV1/Conv2d_1_depthwise/depthwise_weights`, `MobilenetV2/expanded_conv_1/expand/weights` …
//! (`MobilenetV1/` counts as a prefix). Files out of `.tflite` have the same names, folded, with `weights` and `bias`.

use super::{HWIO, Layouts, Part, Scheme, TENSORFLOW, Unit, tensorflow_norm};
use crate::model::Version;
use crate::weights::layout::Layout;

pub(super) const SCHEMES: &[Scheme] = &[V2, V1];

const V2: Scheme = Scheme {
    name: "tf_slim",
    version: Version::V2,
    names: v2,
    signature: &["expanded_conv/project/weights", "expanded_conv_1/expand/weights", "expanded_conv_2/expand/weights"],
    heads: &["Logits", "logits"],
    staged: false,
    separators: &['.', '/'],
    layouts: Layouts { linear: Layout("HWIO"), ..HWIO },
    conventions: TENSORFLOW,
};

const V1: Scheme = Scheme {
    version: Version::V1,
    names: v1,
    signature: &["Conv2d_0/weights", "Conv2d_1_pointwise/weights", "Conv2d_2_pointwise/weights"],
    ..V2
};

fn layer(name: &str, part: Part, depthwise: bool) -> Vec<String> {
    match part {
        Part::Filters if depthwise => vec![format!("{name}/depthwise_weights"), format!("{name}/weights")],
        Part::Filters => vec![format!("{name}/weights")],
        Part::Bias => vec![format!("{name}/biases"), format!("{name}/bias")],
        norm_part => tensorflow_norm(&format!("{name}/BatchNorm"), norm_part),
    }
}

fn v1(unit: Unit, part: Part) -> Vec<String> {
    match unit {
        Unit::Stem => layer("Conv2d_0", part, false),
        Unit::Depthwise(b) => layer(&format!("Conv2d_{}_depthwise", b.index + 1), part, true),
        Unit::Project(b) => layer(&format!("Conv2d_{}_pointwise", b.index + 1), part, false),
        Unit::Logits => logits(part),
        Unit::Expand(_) | Unit::Last(_) => Vec::new(),
    }
}

fn v2(unit: Unit, part: Part) -> Vec<String> {
    let block = |index: u32, kind: &str, depthwise: bool| match index {
        0 => layer(&format!("expanded_conv/{kind}"), part, depthwise),
        _ => layer(&format!("expanded_conv_{index}/{kind}"), part, depthwise),
    };
    match unit {
        Unit::Stem => layer("Conv", part, false),
        Unit::Expand(b) => block(b.index, "expand", false),
        Unit::Depthwise(b) => block(b.index, "depthwise", true),
        Unit::Project(b) => block(b.index, "project", false),
        Unit::Last(_) => layer("Conv_1", part, false),
        Unit::Logits => logits(part),
    }
}

fn logits(part: Part) -> Vec<String> {
    match part {
        Part::Filters | Part::Bias => layer("Logits/Conv2d_1c_1x1", part, false),
        _ => Vec::new(),
    }
}
