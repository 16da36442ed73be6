//! The classifier: one dense layer, wherever the file keeps it; anything else is reported, and the checkpoint is a
//! backbone.

use super::schemes::{Part, Unit};
use super::survey::Survey;
use std::collections::BTreeMap;

/// The layers under the scheme's heads: for each its tensors by leaf.
fn layers<'a>(survey: &Survey<'a>) -> BTreeMap<&'a str, Vec<(&'a str, usize)>> {
    let mut layers: BTreeMap<&str, Vec<(&str, usize)>> = BTreeMap::new();
    let body: Vec<usize> =
        survey.units.iter().filter(|u| u.unit != Unit::Logits).flat_map(|u| Part::ALL.map(|p| u.part(p))).flatten().collect();
    for (name, index) in survey.names.iter() {
        let first = name.split(survey.scheme.separators).next().unwrap_or(name);
        // Keras numbers its layers: `dense`, `dense_1`.
        let stem = first.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
        let is_head = survey.scheme.heads.iter().any(|h| *h == first || *h == stem);
        if is_head && !body.contains(&index) {
            let (layer, leaf) = name.rfind(survey.scheme.separators).map_or((name, ""), |at| (&name[..at], &name[at + 1..]));
            if !is_optimisers(leaf) {
                layers.entry(layer).or_default().push((leaf, index));
            }
        }
    }
    layers
}

/// What optimisers keep beside a weight.
fn is_optimisers(leaf: &str) -> bool {
    matches!(leaf, "Momentum" | "RMSProp" | "RMSProp_1" | "Adam" | "Adam_1" | "ExponentialMovingAverage")
}

fn is_filters(leaf: &str) -> bool {
    matches!(leaf, "weight" | "weights" | "kernel" | "0")
}

fn is_bias(leaf: &str) -> bool {
    matches!(leaf, "bias" | "biases" | "1")
}

/// Takes the one dense layer there is as the classifier; several, or anything else, are noted and left unused.
pub(super) fn settle(survey: &mut Survey, notes: &mut Vec<String>) {
    let layers = layers(survey);
    let Some(logits) = survey.units.iter().position(|u| u.unit == Unit::Logits) else { return };
    let dense = |tensors: &[(&str, usize)]| tensors.iter().all(|(leaf, _)| is_bias(leaf) || is_filters(leaf));
    match layers.len() {
        0 => {}
        1 if layers.values().all(|tensors| dense(tensors)) => {
            for (leaf, index) in layers.values().flatten() {
                survey.units[logits].set(if is_bias(leaf) { Part::Bias } else { Part::Filters }, *index);
            }
        }
        _ => {
            let names: Vec<String> = layers.keys().take(6).map(|name| format!("`{name}`")).collect();
            let more = if layers.len() > names.len() { ", …" } else { "" };
            notes.push(format!(
                "the head is not one dense layer ({}{more}): left out, the checkpoint is loaded as a backbone",
                names.join(", ")
            ));
            survey.units[logits].clear();
        }
    }
}
