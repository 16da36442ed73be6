//! What a measurement gives, as plain values.

use crate::kernel::{Case, Precision, Variant};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where times come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// The GPU's own timestamps around a pass.
    Timestamps,
    /// The host's clock around a submit of many dispatches, divided; the cost of an empty submit is taken off.
    Wall,
}

impl std::fmt::Display for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Clock::Timestamps => "GPU timestamps",
            Clock::Wall => "wall clock over many dispatches",
        })
    }
}

/// Largest error that counts as right, in parts of the largest value.
pub fn tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 1e-4,
        Precision::F16Storage => 5e-3,
        Precision::F16 => 2e-2,
    }
}

/// A sample of times in nanoseconds, each for one dispatch or one run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Smallest.
    pub min: f64,
    /// A tenth of the samples are below it. This, `p90`, `samples` and `repeats` are 0 in a record that was made compact.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub p10: f64,
    /// Half of the samples are below it.
    pub median: f64,
    /// A tenth of the samples are above it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub p90: f64,
    /// Number of samples.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub samples: u32,
    /// Dispatches (or runs) that one sample is the mean of.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeats: u32,
}

/// What need not be written.
fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Times {
    /// Of samples in any order; `None` if there are none.
    pub fn of(samples: &[f64], repeats: u32) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |q| quantile(&sorted, q);
        Some(Self { min: at(0.0)?, p10: at(0.1)?, median: at(0.5)?, p90: at(0.9)?, samples: sorted.len() as u32, repeats })
    }
}

impl Times {
    /// Between which four fifths of the samples are, where they are known.
    pub fn spread(&self) -> Option<[f64; 2]> {
        (self.samples > 0).then_some([self.p10, self.p90])
    }
    /// The median where the samples agree, else the smallest: where they are far apart the machine did other work, and
    /// the median tells of that. A compact record has it in the median's place.
    pub fn typical(&self) -> f64 {
        let agree = self.samples == 0 || self.samples >= 3 && self.p90 - self.p10 <= 0.3 * self.median;
        if agree { self.median } else { self.min }
    }
}

/// The `q`-quantile of sorted values, between neighbours in proportion.
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let place = q.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted.get(place.floor() as usize)?, sorted.get(place.ceil() as usize)?);
    Some(low + (high - low) * place.fract())
}

/// What became of a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "why")]
pub enum Verdict {
    /// It agrees with the reference.
    Right,
    /// It differs from the reference by more than rounding.
    Differs(String),
    /// It differs from itself between two runs on the same data: invocations race.
    Unsteady(String),
    /// It writes where it should not: past its output, or other than zeros into the padding channels.
    OutOfBounds(String),
    /// It does not compile, or its run failed.
    Failed(String),
    /// It was not measured, and why: no time was left, or it does not apply.
    Skipped(String),
}

impl Verdict {
    /// Whether its time counts.
    pub fn is_right(&self) -> bool {
        *self == Verdict::Right
    }
}

/// A kernel measured on a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateResult {
    /// The variant's name.
    pub variant: String,
    /// Its `override` constants.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, f64>,
    /// Of its source and parameters, so that an edited kernel is known as another one.
    pub fingerprint: String,
    /// Workgroups; zeros in records that leave them out.
    #[serde(default, skip_serializing_if = "no_workgroups")]
    pub workgroups: [u32; 3],
    /// Whether it is right.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Largest difference from the reference, in parts of the reference's largest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
    /// Creation of the pipeline and first dispatch, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compile: Option<f64>,
    /// Bytes that its loads and stores move in a dispatch, by buffer, each as often as an invocation asks for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub moved: BTreeMap<String, u64>,
    /// Times with warm caches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<Times>,
    /// Times with the caches flushed before each dispatch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold: Option<Times>,
}

fn no_workgroups(workgroups: &[u32; 3]) -> bool {
    *workgroups == [0; 3]
}

impl CandidateResult {
    /// An empty result for a variant.
    pub fn new(variant: &Variant, workgroups: [u32; 3], verdict: Verdict) -> Self {
        Self {
            variant: variant.name.to_string(),
            parameters: variant.parameters.iter().cloned().collect(),
            fingerprint: fingerprint(variant),
            workgroups,
            verdict,
            error: None,
            compile: None,
            moved: BTreeMap::new(),
            warm: None,
            cold: None,
        }
    }
    /// Whether it is a measurement of the variant with its parameters, whatever its text was then.
    pub fn is_of(&self, variant: &Variant) -> bool {
        variant.name == self.variant
            && variant.parameters.len() == self.parameters.len()
            && variant.parameters.iter().all(|(name, value)| self.parameters.get(name) == Some(value))
    }
    /// The variant with its parameters: what tells it from the others of its case.
    pub fn label(&self) -> String {
        let missing = |(n, v): (&String, &f64)| {
            let text = format!(" {n}={v}");
            (!self.variant.contains(&text)).then_some(text)
        };
        format!("{}{}", self.variant, self.parameters.iter().filter_map(missing).collect::<String>())
    }
    /// Bytes that it moves in a dispatch, where they were counted.
    pub fn moved_bytes(&self) -> Option<u64> {
        (!self.moved.is_empty()).then(|| self.moved.values().sum())
    }
    /// Its time with warm caches, if it is right and was timed: what it is chosen by (see [`Times::typical`]).
    pub fn ns(&self) -> Option<f64> {
        self.warm.filter(|_| self.verdict.is_right()).map(|t| t.typical()).filter(|ns| ns.is_finite() && *ns > 0.0)
    }
}

/// All candidates of a case, wrong and slow ones too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// The problem.
    pub case: Case,
    /// Types.
    pub precision: Precision,
    /// Where the times come from.
    pub clock: Clock,
    /// The candidates in the order in which they were given.
    pub candidates: Vec<CandidateResult>,
}

impl CaseResult {
    /// The fastest right candidate.
    pub fn best(&self) -> Option<&CandidateResult> {
        self.ranked().into_iter().next().filter(|c| c.ns().is_some())
    }

    /// All candidates, the fastest first; those without a time at the end, in their order.
    pub fn ranked(&self) -> Vec<&CandidateResult> {
        let mut ranked: Vec<&CandidateResult> = self.candidates.iter().collect();
        ranked.sort_by(|a, b| a.ns().unwrap_or(f64::MAX).total_cmp(&b.ns().unwrap_or(f64::MAX)));
        ranked
    }
}

/// 64-bit FNV-1a of a variant's source and parameters, in hexadecimal.
pub fn fingerprint(variant: &Variant) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut feed = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    feed(variant.source.as_bytes());
    for (name, value) in &variant.parameters {
        feed(name.as_bytes());
        feed(&value.to_le_bytes());
    }
    format!("{hash:016x}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        let times = Times::of(&[4.0, 1.0, 3.0, 2.0, 5.0], 10).unwrap();
        assert_eq!((times.min, times.median, times.samples), (1.0, 3.0, 5));
        assert!((times.p90 - 4.6).abs() < 1e-9);
        assert!(Times::of(&[], 1).is_none());
    }

    #[test]
    fn an_edited_kernel_has_another_fingerprint() {
        let mut variant = crate::kernel::variants().swap_remove(0);
        let before = fingerprint(&variant);
        variant.parameters.push(("TILE".into(), 8.0));
        assert_ne!(before, fingerprint(&variant));
    }
}
