//! Which blocks become one dispatch: those that the caller prefers fused, or that choosing finds faster than their parts, by so much
//! that the kernel repays its compile time.

use super::PlanOptions;
use super::choose::{choose, expected_ns};
use crate::gpu::DeviceProfile;
use crate::graph::Graph;
use crate::graph::passes::{Candidate, fuse_blocks};
use crate::kernel::{Case, Variant};
use std::collections::BTreeMap;

/// Fuses the blocks of `graph` that are better off as one dispatch on this device.
pub(super) fn fuse(graph: &Graph, profile: &DeviceProfile, variants: &[Variant], options: &PlanOptions) -> Graph {
    let gain = |graph: &Graph, candidate: &Candidate| gain(graph, candidate, profile, variants, options).filter(|(_, ns)| *ns > 0.0);
    if !profile.compiles_at_dispatch {
        return fuse_blocks(graph, |graph, candidate| gain(graph, candidate).is_some());
    }
    // Where pipelines are compiled in turn, what a kernel gains in all blocks together pays for its own.
    let mut gains = BTreeMap::<usize, f64>::new();
    fuse_blocks(graph, |graph, candidate| {
        let gained = gain(graph, candidate);
        gained.into_iter().for_each(|(row, ns)| *gains.entry(row).or_default() += ns);
        gained.is_some()
    });
    let runs = f64::from(options.runs.max(1));
    gains.retain(|row, ns| *ns * runs > variants[*row].compile_ns(profile));
    fuse_blocks(graph, |graph, candidate| gain(graph, candidate).is_some_and(|(row, _)| gains.contains_key(&row)))
}

/// The kernel of a block in one dispatch, and the nanoseconds that it takes less than the block's parts: without end where the caller
/// asked for it. `None` if no kernel applies, or nothing is known of its time.
fn gain(
    graph: &Graph,
    candidate: &Candidate,
    profile: &DeviceProfile,
    variants: &[Variant],
    options: &PlanOptions,
) -> Option<(usize, f64)> {
    let batch = options.batch.max(1);
    let case = Case::of(graph, &candidate.fused, batch)?;
    let row = choose(&candidate.fused.name, &case, profile, variants, options).ok()?.row;
    if options.prefer.iter().any(|p| p.op == case.op && p.variant == variants[row].name) {
        return Some((row, f64::INFINITY));
    }
    let fused = expected_ns(&case, row, profile, variants, options)?;
    let mut separate = 0.0;
    for id in &candidate.separate {
        let node = graph.node(*id);
        let case = Case::of(graph, node, batch)?;
        let row = choose(&node.name, &case, profile, variants, options).ok()?.row;
        separate += expected_ns(&case, row, profile, variants, options)?;
    }
    Some((row, separate - fused))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::graph::passes;
    use crate::kernel::{OpKind, Precision, variants};
    use crate::measure::{CandidateResult, CaseResult, Clock, Times, Verdict};
    use crate::model::MobileNetConfig;
    use crate::tune::{Tuning, TuningRecord};

    /// A record by which each of V1's 13 blocks takes 150 us in one dispatch, and 200 in two.
    fn record(graph: &Graph, profile: &DeviceProfile, table: &[Variant]) -> TuningRecord {
        let mut record = TuningRecord::new(profile);
        let mut measured = |case: Case, name: &str, ns: f64| {
            let variant = table.iter().find(|v| v.op == case.op && v.name == name).unwrap();
            let result = CandidateResult::new(variant, [1, 1, 1], Verdict::Right);
            let candidates = vec![CandidateResult { warm: Times::of(&[ns], 1), error: Some(0.0), ..result }];
            record.insert(CaseResult { case, precision: Precision::F32, clock: Clock::Wall, candidates }, 7);
        };
        fuse_blocks(graph, |graph, candidate| {
            // A pointwise layer and the block behind it look like an inverted residual too, of which the record says nothing.
            if candidate.separate.len() == 3 {
                return false;
            }
            measured(Case::of(graph, &candidate.fused, 1).unwrap(), "workgroup_16", 1.5e5);
            for (id, name) in candidate.separate.iter().zip(["direct", "register_tile"]) {
                measured(Case::of(graph, graph.node(*id), 1).unwrap(), name, 1e5);
            }
            false
        });
        record
    }

    #[test]
    fn blocks_are_fused_where_a_record_says_so_and_the_kernel_repays_itself() {
        let graph = passes::run(&MobileNetConfig::v1(0.25).with_input([32; 2]).graph().unwrap(), &[] as &[&str]);
        let table = variants();
        let fused = |profile: &DeviceProfile, runs: u32, recorded: bool| {
            let tuning = if recorded { Tuning::none().with(record(&graph, profile, &table)) } else { Tuning::none() };
            let options = PlanOptions { runs, tuning, ..PlanOptions::default() };
            let fused = fuse(&graph, profile, &table, &options);
            fused.nodes().iter().filter(|node| Case::of(&fused, node, 1).is_some_and(|case| case.op == OpKind::Separable)).count()
        };
        let llvmpipe = DeviceProfile::llvmpipe();
        // 13 blocks gain 0.65 ms a run, and the kernel takes 1.4 s to compile.
        assert_eq!(fused(&llvmpipe, 1_000, true), 0);
        assert_eq!(fused(&llvmpipe, 3_000, true), 13);
        assert_eq!(fused(&DeviceProfile::desktop(), 1, true), 13, "compiled side by side, and kept by the driver");
        assert_eq!(fused(&llvmpipe, 3_000, false), 0);
    }
}
