//! Which blocks become one dispatch: those that the caller prefers fused, or that choosing finds faster than their parts.

use super::PlanOptions;
use super::choose::{choose, expected_ns};
use crate::gpu::DeviceProfile;
use crate::graph::Graph;
use crate::graph::passes::{Candidate, fuse_blocks};
use crate::kernel::{Case, Variant};

/// Fuses the blocks of `graph` that are better off as one dispatch on this device.
pub(super) fn fuse(graph: &Graph, profile: &DeviceProfile, variants: &[Variant], options: &PlanOptions) -> Graph {
    let batch = options.batch.max(1);
    fuse_blocks(graph, |graph, candidate| decide(graph, candidate, batch, profile, variants, options).unwrap_or(false))
}

/// `None` if the fused kernel does not apply, or nothing is known of its time.
fn decide(
    graph: &Graph,
    candidate: &Candidate,
    batch: u32,
    profile: &DeviceProfile,
    variants: &[Variant],
    options: &PlanOptions,
) -> Option<bool> {
    let case = Case::of(graph, &candidate.fused, batch)?;
    let row = choose(&candidate.fused.name, &case, profile, variants, options).ok()?.row;
    let preferred = options.prefer.iter().any(|p| p.op == case.op && p.variant == variants[row].name);
    if preferred {
        return Some(true);
    }
    let fused = expected_ns(&case, row, profile, variants, options)?;
    let mut separate = 0.0;
    for id in &candidate.separate {
        let node = graph.node(*id);
        let case = Case::of(graph, node, batch)?;
        let row = choose(&node.name, &case, profile, variants, options).ok()?.row;
        separate += expected_ns(&case, row, profile, variants, options)?;
    }
    Some(fused < separate)
}
