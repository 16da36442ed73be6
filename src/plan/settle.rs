//! Which kernels repay their compile time, where pipelines are compiled in turn at their first dispatch (llvmpipe).
//!
//! A kernel that is a little faster for a few layers costs every start of the program tenths of a second. So the kernels of
//! an op are chosen together: those that make compiling, once, and a number of runs the least. What a caller or a user's own
//! record asks for stays.

use super::choose::{Choice, Why};
use crate::gpu::DeviceProfile;
use crate::kernel::{OpKind, Variant};
use std::collections::BTreeMap;

/// More kernels than this for one op are not weighed against each other (there are `2^n` sets of them).
const MOST: usize = 12;

/// Moves `choices` (of the steps in their order, `None` for a step without a kernel) to the cheapest set of kernels.
pub(super) fn settle(choices: &mut [Option<Choice>], runs: u32, profile: &DeviceProfile, variants: &[Variant]) {
    if !profile.compiles_at_dispatch {
        return;
    }
    for op in OpKind::ALL {
        let compile = compile_times(choices, op, profile, variants);
        if compile.len() > 1 && compile.len() <= MOST {
            let kept = cheapest(choices, op, &compile, f64::from(runs));
            take(choices, op, &kept, &compile, variants);
        }
    }
}

/// The kernels that steps of `op` could take, each with nanoseconds of compiling.
fn compile_times(choices: &[Option<Choice>], op: OpKind, profile: &DeviceProfile, variants: &[Variant]) -> BTreeMap<usize, f64> {
    let mut compile = BTreeMap::new();
    for choice in of(choices, op) {
        for rival in &choice.rivals {
            compile.insert(rival.row, variants[rival.row].compile_ns(profile));
        }
    }
    // What is in the plan whatever is decided here costs nothing more.
    for fixed in of(choices, op).filter(|choice| choice.rivals.is_empty()) {
        compile.entry(fixed.row).and_modify(|ns| *ns = 0.0);
    }
    compile
}

/// The set of kernels of which compiling and `runs` runs take the least.
fn cheapest(choices: &[Option<Choice>], op: OpKind, compile: &BTreeMap<usize, f64>, runs: f64) -> Vec<usize> {
    let rows: Vec<usize> = compile.keys().copied().collect();
    let mut best = (f64::INFINITY, Vec::new());
    for bits in 1u32..1 << rows.len() {
        let set: Vec<usize> = rows.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, row)| *row).collect();
        let run: f64 = of(choices, op).filter(|c| !c.rivals.is_empty()).map(|c| fastest(c, &set).map_or(f64::INFINITY, |r| r.ns)).sum();
        let total = run * runs + set.iter().map(|row| compile[row]).sum::<f64>();
        if total < best.0 {
            best = (total, set);
        }
    }
    best.1
}

fn fastest<'a>(choice: &'a Choice, set: &[usize]) -> Option<&'a crate::tune::Timed> {
    choice.rivals.iter().filter(|r| set.contains(&r.row)).min_by(|a, b| a.ns.total_cmp(&b.ns))
}

/// Gives every step the fastest of the kernels that are kept, and says why where another one is faster.
fn take(choices: &mut [Option<Choice>], op: OpKind, kept: &[usize], compile: &BTreeMap<usize, f64>, variants: &[Variant]) {
    let mut gains: BTreeMap<usize, f64> = BTreeMap::new();
    let mut moved = Vec::new();
    for (i, choice) in choices.iter().enumerate() {
        let Some(choice) = choice.as_ref().filter(|choice| choice.case.op == op) else { continue };
        let own = choice.rivals.iter().find(|r| r.row == choice.row);
        if let (Some(own), Some(taken)) = (own, fastest(choice, kept))
            && own.row != taken.row
        {
            *gains.entry(own.row).or_default() += taken.ns - own.ns;
            moved.push((i, *taken));
        }
    }
    for (i, taken) in moved {
        if let Some(choice) = &mut choices[i] {
            let (faster, gain_ns, compile_ns) = (variants[choice.row].name.to_string(), gains[&choice.row], compile[&choice.row]);
            choice.why = Why::Shared { ns: taken.ns, faster, gain_ns, compile_ns };
            choice.row = taken.row;
        }
    }
}

fn of(choices: &[Option<Choice>], op: OpKind) -> impl Iterator<Item = &Choice> {
    choices.iter().flatten().filter(move |choice| choice.case.op == op)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Shape;
    use crate::kernel::{self, Case};
    use crate::tune::Timed;

    fn step(variants: &[Variant], times: &[(&str, f64)]) -> Option<Choice> {
        let row = |name: &str| variants.iter().position(|v| v.op == OpKind::Depthwise && v.name == name).unwrap_or_default();
        let rivals: Vec<_> = times.iter().map(|(name, ns)| Timed { row: row(name), ns: *ns }).collect();
        let why = Why::CostModel { ns: rivals[0].ns, runner_up: String::new(), runner_up_ns: 0.0 };
        let shape = Shape::new(14, 14, 32);
        Some(Choice { case: Case::plain(OpKind::Depthwise, 1, shape, shape), row: rivals[0].row, why, rivals })
    }

    fn names(choices: &[Option<Choice>], variants: &[Variant]) -> Vec<String> {
        of(choices, OpKind::Depthwise).map(|c| variants[c.row].name.to_string()).collect()
    }

    #[test]
    fn a_kernel_stays_if_its_runs_repay_its_compilation() {
        let variants = kernel::variants();
        let profile = DeviceProfile::llvmpipe();
        // Strips of one stride gain 0.02 and 0.3 ms a run; the strip for both takes 230 ms to compile, they 280 and 350.
        let plan =
            || vec![step(&variants, &[("strip_s1", 1e5), ("strip", 1.2e5)]), None, step(&variants, &[("strip_s2", 1e5), ("strip", 4e5)])];
        let mut few = plan();
        settle(&mut few, 100, &profile, &variants);
        assert_eq!(names(&few, &variants), ["strip", "strip"]);
        assert!(of(&few, OpKind::Depthwise).all(|c| matches!(&c.why, Why::Shared { compile_ns, .. } if *compile_ns >= 2.8e8)));
        let mut more = plan();
        settle(&mut more, 1_500, &profile, &variants);
        assert_eq!(names(&more, &variants), ["strip", "strip_s2"]);
        let mut many = plan();
        settle(&mut many, 100_000, &profile, &variants);
        assert_eq!(names(&many, &variants), ["strip_s1", "strip_s2"]);
        let mut gpu = plan();
        settle(&mut gpu, 1, &DeviceProfile::desktop(), &variants);
        assert_eq!(names(&gpu, &variants), ["strip_s1", "strip_s2"], "compiled side by side, and kept by the driver");
    }

    #[test]
    fn what_is_fixed_stays_and_others_join_it() {
        let variants = kernel::variants();
        let mut choices = vec![step(&variants, &[("strip_s1", 1e5)]), step(&variants, &[("strip", 1e5), ("strip_s1", 1.5e5)])];
        if let Some(first) = &mut choices[0] {
            (first.why, first.rivals) = (Why::Preference, Vec::new());
        }
        settle(&mut choices, 100, &DeviceProfile::llvmpipe(), &variants);
        assert_eq!(names(&choices, &variants), ["strip_s1", "strip_s1"]);
        assert_eq!(of(&choices, OpKind::Depthwise).next().map(|c| c.why.clone()), Some(Why::Preference));
    }
}
