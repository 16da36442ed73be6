//! Stages of a body and their strides, which no tensor shows: they follow from the paper's order, from the scheme's names,
//! or from where the channels change.

use super::survey::Survey;
use crate::model::{BlockConfig, Version};

/// Blocks of each stage, and the strides as `MobileNetConfig::with_strides` takes them.
pub(super) struct Stages {
    pub repeats: Vec<u32>,
    pub strides: Vec<u32>,
}

/// V2's stages (arXiv 1801.04381, table 2).
const V2_REPEATS: [u32; 7] = [1, 2, 3, 4, 3, 3, 1];
/// Stem and V2's stages.
const V2_STRIDES: [u32; 8] = [2, 1, 2, 2, 2, 1, 2, 1];
/// Stem and V1's blocks (arXiv 1704.04861, table 1).
const V1_STRIDES: [u32; 14] = [2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1];

/// The stages, and whether their strides are known.
pub(super) fn stages(survey: &Survey, blocks: &[BlockConfig]) -> (Stages, bool) {
    let by_names = survey.scheme.staged.then(|| {
        let stages = survey.blocks.iter().map(|b| b.stage);
        runs(stages)
    });
    match survey.scheme.version {
        Version::V1 => v1(blocks, by_names),
        Version::V2 => v2(blocks, by_names),
    }
}

fn v1(blocks: &[BlockConfig], by_names: Option<Vec<u32>>) -> (Stages, bool) {
    let repeats = vec![1; blocks.len()];
    if blocks.len() + 1 == V1_STRIDES.len() {
        return (Stages { repeats, strides: V1_STRIDES.to_vec() }, true);
    }
    // Another depth: V1 goes down wherever channels grow, but for its first block.
    let runs = by_names.unwrap_or_else(|| runs(blocks.iter().map(|b| b.channels)));
    let mut strides = vec![2];
    for (i, length) in runs.iter().enumerate() {
        strides.push(if i == 0 { 1 } else { 2 });
        strides.extend((1..*length).map(|_| 1));
    }
    (Stages { repeats, strides }, runs.len() == 5)
}

fn v2(blocks: &[BlockConfig], by_names: Option<Vec<u32>>) -> (Stages, bool) {
    let standard = blocks.len() as u32 == V2_REPEATS.iter().sum::<u32>();
    let repeats = match by_names {
        Some(repeats) => repeats,
        None if standard => V2_REPEATS.to_vec(),
        // Another depth: a stage is where the channels change.
        None => runs(blocks.iter().map(|b| b.channels)),
    };
    let known = repeats.len() == V2_REPEATS.len();
    let strides = if known { V2_STRIDES.to_vec() } else { vec![1; repeats.len() + 1] };
    (Stages { repeats, strides }, known)
}

/// Lengths of runs of equal values.
fn runs(values: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut runs: Vec<u32> = Vec::new();
    let mut last = None;
    for value in values {
        match runs.last_mut() {
            Some(n) if last == Some(value) => *n += 1,
            _ => runs.push(1),
        }
        last = Some(value);
    }
    runs
}
