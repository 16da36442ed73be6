//! Which variant computes a case: a preference of the caller, else what a tuning record found to be fastest, else what
//! the cost model expects to be.

use super::PlanOptions;
use crate::gpu::DeviceProfile;
use crate::kernel::{Case, OpKind, Variant};
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
}

impl Why {
    /// Nanoseconds that the step is expected to take, as far as the choice says.
    pub fn ns(&self) -> Option<f64> {
        match self {
            Why::Record(m) | Why::ShippedRecord(m) => Some(m.ns),
            Why::CostModel { ns, .. } => Some(*ns),
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
    /// When: seconds since 1970.
    pub measured: u64,
}

/// The row of the variant for a case, and why.
pub(super) fn choose(
    node: &str,
    case: &Case,
    profile: &DeviceProfile,
    variants: &[Variant],
    options: &PlanOptions,
) -> Result<(usize, Why)> {
    let mut applicable = Vec::new();
    let mut reasons = Vec::new();
    for (row, variant) in variants.iter().enumerate().filter(|(_, v)| v.op == case.op) {
        match variant.check(case, profile) {
            Ok(()) => applicable.push((row, (variant.cost)(case, profile))),
            Err(reason) => reasons.push(format!("{}: {reason}", variant.name)),
        }
    }
    let wish = options.prefer.iter().filter(|p| p.op == case.op);
    for preference in wish {
        if let Some((row, _)) = applicable.iter().find(|(row, _)| variants[*row].name == preference.variant) {
            return Ok((*row, Why::Preference));
        }
    }
    if applicable.len() > 1
        && let Some(found) = options.tuning.find(case, options.precision, profile, variants)
    {
        let (runner_up, runner_up_ns) = found.runner_up.unzip();
        let measured = Measured { ns: found.ns, runner_up, runner_up_ns, measured: found.measured };
        return Ok((found.row, if found.shipped { Why::ShippedRecord(measured) } else { Why::Record(measured) }));
    }
    applicable.sort_by(|a, b| a.1.total_cmp(&b.1));
    match applicable[..] {
        [] => Err(Error::NoVariant { node: node.to_string(), reasons: reasons.join("; ") }),
        [(row, _)] => Ok((row, Why::OnlyOne)),
        [(row, ns), (second, runner_up_ns), ..] => {
            Ok((row, Why::CostModel { ns, runner_up: variants[second].name.to_string(), runner_up_ns }))
        }
    }
}

/// Smallest nanoseconds of a choice by a record: what blocks are fused by. The cost model has no say there: none of
/// ours has been held against enough devices for that.
pub(super) fn expected_ns(case: &Case, row: usize, profile: &DeviceProfile, variants: &[Variant], options: &PlanOptions) -> Option<f64> {
    options.tuning.find(case, options.precision, profile, variants).filter(|found| found.row == row).map(|found| found.least_ns)
}
