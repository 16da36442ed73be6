//! Which variant computes a case: a preference of the caller, else what a tuning record found to be fastest, else what
//! the cost model expects to be.

use super::PlanOptions;
use crate::gpu::DeviceProfile;
use crate::kernel::{Case, OpKind, Variant};
use crate::tune::Timed;
use crate::{Error, Result};
use serde::Serialize;

/// A variant to take for an op wherever it applies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Preference {
    /// The op.
    pub op: OpKind,
    /// The variant's name.
    pub variant: String,
}

/// Why a variant was taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Why {
    /// The caller asked for it.
    Preference,
    /// No other applies.
    OnlyOne,
    /// It was measured fastest on this device.
    Record(Measured),
    /// It was measured fastest by a record that ships with the crate.
    ShippedRecord(Measured),
    /// The cost model expects it to be fastest.
    CostModel {
        /// Expected nanoseconds.
        ns: f64,
        /// The next best and what it is expected to take.
        runner_up: String,
        /// Its expected nanoseconds.
        runner_up_ns: f64,
    },
    /// Other steps take it anyway: the faster one would not repay its compile time within [`PlanOptions::runs`].
    Shared {
        /// What it takes, in nanoseconds.
        ns: f64,
        /// The one that is faster here.
        faster: String,
        /// What that would gain in a run, all of its steps together, in nanoseconds.
        gain_ns: f64,
        /// What it takes to compile, in nanoseconds.
        compile_ns: f64,
    },
}

impl Why {
    /// Nanoseconds that the step is expected to take, as far as the choice says.
    pub fn ns(&self) -> Option<f64> {
        match self {
            Why::Record(m) | Why::ShippedRecord(m) => Some(m.ns),
            Why::CostModel { ns, .. } | Why::Shared { ns, .. } => Some(*ns),
            Why::Preference | Why::OnlyOne => None,
        }
    }
}

/// What a record says of the choice.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Its median in nanoseconds.
    pub ns: f64,
    /// The next best, if another applies.
    pub runner_up: Option<String>,
    /// Its median in nanoseconds.
    pub runner_up_ns: Option<f64>,
    /// Pictures of the measurement; times are scaled where the step has more.
    pub batch: u32,
    /// When: seconds since 1970.
    pub measured: u64,
}

/// A choice, and what it was made from.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub case: Case,
    /// The row of the variant.
    pub row: usize,
    pub why: Why,
    /// All that could be taken, with what each is expected to take; empty where the choice is not to be moved.
    pub rivals: Vec<Timed>,
}

/// The variant for a case.
pub(super) fn choose(node: &str, case: &Case, profile: &DeviceProfile, variants: &[Variant], options: &PlanOptions) -> Result<Choice> {
    let mut applicable = Vec::new();
    let mut reasons = Vec::new();
    for (row, variant) in variants.iter().enumerate().filter(|(_, v)| v.op == case.op) {
        match variant.check(case, options.precision, profile) {
            Ok(()) => applicable.push(Timed { row, ns: (variant.cost)(case, profile) }),
            Err(reason) => reasons.push(format!("{}: {reason}", variant.name)),
        }
    }
    let choice = |row, why, rivals| Choice { case: *case, row, why, rivals };
    let fixed = |row, why| choice(row, why, Vec::new());
    let wish = options.prefer.iter().filter(|p| p.op == case.op);
    for preference in wish {
        if let Some(rival) = applicable.iter().find(|rival| variants[rival.row].name == preference.variant) {
            return Ok(fixed(rival.row, Why::Preference));
        }
    }
    if applicable.len() > 1
        && let Some(found) = options.tuning.find(case, options.precision, profile, variants)
    {
        let (runner_up, runner_up_ns) = found.runner_up.unzip();
        let measured = Measured { ns: found.ns, runner_up, runner_up_ns, batch: found.batch, measured: found.measured };
        return Ok(match found.shipped {
            true => choice(found.row, Why::ShippedRecord(measured), found.times),
            false => fixed(found.row, Why::Record(measured)),
        });
    }
    applicable.sort_by(|a, b| a.ns.total_cmp(&b.ns));
    match applicable[..] {
        [] => Err(Error::NoVariant { node: node.to_string(), reasons: reasons.join("; ") }),
        [only] => Ok(fixed(only.row, Why::OnlyOne)),
        [best, second, ..] => {
            let why = Why::CostModel { ns: best.ns, runner_up: variants[second.row].name.to_string(), runner_up_ns: second.ns };
            Ok(choice(best.row, why, applicable))
        }
    }
}

/// Smallest nanoseconds of a choice by a record: what blocks are fused by. The cost model has no say there: none of
/// ours has been held against enough devices for that.
pub(super) fn expected_ns(case: &Case, row: usize, profile: &DeviceProfile, variants: &[Variant], options: &PlanOptions) -> Option<f64> {
    options.tuning.find(case, options.precision, profile, variants).filter(|found| found.row == row).map(|found| found.least_ns)
}
