//! Our own names, those of [`crate::graph`]: `stem.filters`, `block3.expand.norm.gamma`, `logits.weights`. For files that
//! programs write, and as a target for `--map`.

use super::{Conventions, HWIO, Layouts, Part, Scheme, TORCH, Unit};
use crate::model::Version;
use crate::weights::layout::Layout;

pub(super) const SCHEMES: &[Scheme] = &[V2, V1];

const V2: Scheme = Scheme {
    name: "mobilenet-wgpu",
    version: Version::V2,
    names,
    signature: &["block1.project.filters", "block2.project.filters"],
    heads: &["logits"],
    staged: false,
    separators: &['.', '/'],
    layouts: Layouts { depthwise: Layout("HWO"), ..HWIO },
    conventions: Conventions { logits_bias: false, ..TORCH },
};

const V1: Scheme = Scheme { version: Version::V1, names: v1, signature: &["block1.pointwise.filters", "block2.pointwise.filters"], ..V2 };

fn v1(unit: Unit, part: Part) -> Vec<String> {
    names(unit, part).into_iter().map(|name| name.replace(".project.", ".pointwise.")).collect()
}

fn names(unit: Unit, part: Part) -> Vec<String> {
    let unit_name = match unit {
        Unit::Stem => "stem".to_string(),
        Unit::Expand(b) => format!("block{}.expand", b.index + 1),
        Unit::Depthwise(b) => format!("block{}.depthwise", b.index + 1),
        Unit::Project(b) => format!("block{}.project", b.index + 1),
        Unit::Last(_) => "last".to_string(),
        Unit::Logits => "logits".to_string(),
    };
    canonical(&unit_name, unit == Unit::Logits, part).into_iter().collect()
}

/// The canonical name of a unit's part, as the graph calls it.
pub(crate) fn canonical(unit: &str, is_linear: bool, part: Part) -> Option<String> {
    Some(match part {
        Part::Filters if is_linear => format!("{unit}.weights"),
        Part::Filters => format!("{unit}.filters"),
        Part::Bias => format!("{unit}.bias"),
        Part::Gamma if !is_linear => format!("{unit}.norm.gamma"),
        Part::Beta if !is_linear => format!("{unit}.norm.beta"),
        Part::Mean if !is_linear => format!("{unit}.norm.mean"),
        Part::Variance if !is_linear => format!("{unit}.norm.variance"),
        _ => return None,
    })
}
