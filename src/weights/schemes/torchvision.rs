//! torchvision's MobileNetV2: `features.N.conv.…`, in its present form and in the flat one that older ports keep.

use super::{Block, OIHW, Part, Scheme, TORCH, Unit, torch};
use crate::model::Version;

pub(super) const SCHEMES: &[Scheme] = &[NESTED, FLAT];

const NESTED: Scheme = Scheme {
    name: "torchvision",
    version: Version::V2,
    names: nested,
    signature: &["features.2.conv.1.0.weight", "features.3.conv.1.0.weight", "features.1.conv.0.0.weight"],
    heads: &["classifier", "fc", "head"],
    staged: false,
    separators: &['.', '/'],
    layouts: OIHW,
    conventions: TORCH,
};

const FLAT: Scheme = Scheme { names: flat, signature: &["features.2.conv.6.weight", "features.3.conv.6.weight"], ..NESTED };

/// `features.2.conv.0.0` (convolution), `.0.1` (norm), `.1.0`, `.1.1`, `.2`, `.3`; without expansion one step less.
fn nested(unit: Unit, part: Part) -> Vec<String> {
    let triple = |at: u32, k: u32| torch(&format!("features.{at}.conv.{k}.0"), &format!("features.{at}.conv.{k}.1"), part);
    let single = |at: u32, k: u32| torch(&format!("features.{at}.conv.{k}"), &format!("features.{at}.conv.{}", k + 1), part);
    match unit {
        Unit::Expand(block) => triple(block.index + 1, 0),
        Unit::Depthwise(Block { index, expanded, .. }) => triple(index + 1, u32::from(expanded)),
        Unit::Project(Block { index, expanded, .. }) => single(index + 1, 1 + u32::from(expanded)),
        other => ends(other, part),
    }
}

/// `features.2.conv.0`, `.1`, `.3`, `.4`, `.6`, `.7`: every activation counted.
fn flat(unit: Unit, part: Part) -> Vec<String> {
    let layer = |at: u32, k: u32| torch(&format!("features.{at}.conv.{k}"), &format!("features.{at}.conv.{}", k + 1), part);
    match unit {
        Unit::Expand(block) => layer(block.index + 1, 0),
        Unit::Depthwise(Block { index, expanded, .. }) => layer(index + 1, 3 * u32::from(expanded)),
        Unit::Project(Block { index, expanded, .. }) => layer(index + 1, 3 + 3 * u32::from(expanded)),
        Unit::Last(_) => [ends(unit, part), torch("conv.0", "conv.1", part)].concat(),
        other => ends(other, part),
    }
}

fn ends(unit: Unit, part: Part) -> Vec<String> {
    match unit {
        Unit::Stem => torch("features.0.0", "features.0.1", part),
        Unit::Last(blocks) => torch(&format!("features.{}.0", blocks + 1), &format!("features.{}.1", blocks + 1), part),
        Unit::Logits => torch("classifier.1", "", part),
        Unit::Expand(_) | Unit::Depthwise(_) | Unit::Project(_) => Vec::new(),
    }
}
