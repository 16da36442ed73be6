//! Two sets of results, case by case: what got faster or slower by more than noise.

use super::Entry;
use crate::measure::{CandidateResult, Ratio};
use serde::Serialize;

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// Its fastest kernel takes less time.
    Faster,
    /// Its fastest kernel takes more time.
    Slower,
    /// No difference beyond noise.
    Same,
    /// It had a kernel that is right, and has none any more.
    Broken,
    /// The first has a kernel of it that is right, and the second has not the case: nobody knows what became of it.
    Missing,
    /// There is nothing to compare it with: it is new, or had no kernel that is right.
    Unmatched,
}

/// A case of both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The layer or case.
    pub name: String,
    /// The case's key.
    pub key: String,
    /// The fastest right kernel in the first, or none.
    pub base: Option<String>,
    /// The kernel in the second.
    pub new: Option<String>,
    /// Nanoseconds in the first.
    pub base_ns: Option<f64>,
    /// Nanoseconds in the second.
    pub new_ns: Option<f64>,
    /// Times of it in the model.
    pub times: u32,
    /// The second's time in parts of the first's.
    #[serde(flatten)]
    pub ratio: Option<Ratio>,
    /// What became of it.
    pub became: Became,
}

impl Change {
    /// A case that the second has not.
    fn missing(base: &Entry, noise: f64) -> Self {
        let best = base.result.best();
        let became = if best.is_some() { Became::Missing } else { Became::Unmatched };
        Self { became, ..Self::of(base, base, [best, None], noise) }
    }

    fn of(base: &Entry, new: &Entry, kernels: [Option<&CandidateResult>; 2], noise: f64) -> Self {
        let [a, b] = kernels;
        let ratio = a.and_then(|a| a.warm).zip(b.and_then(|b| b.warm)).map(|(a, b)| Ratio::of(&a, &b, noise));
        let became = match (a, b, ratio) {
            (_, _, Some(ratio)) if ratio.is_slower() => Became::Slower,
            (_, _, Some(ratio)) if ratio.is_faster() => Became::Faster,
            (Some(_), None, _) => Became::Broken,
            (None, _, _) => Became::Unmatched,
            _ => Became::Same,
        };
        Self {
            name: new.name(),
            key: new.key(),
            base: a.map(CandidateResult::label),
            new: b.map(CandidateResult::label),
            base_ns: a.and_then(CandidateResult::ns),
            new_ns: b.and_then(CandidateResult::ns),
            times: base.times.max(new.times),
            ratio,
            became,
        }
    }
}

/// Compares the fastest kernels of each case, or with `each` every kernel with itself. `noise` is what two measurements may
/// differ by for reasons of their own, such as 0.05.
pub fn compare(base: &[Entry], new: &[Entry], noise: f64, each: bool) -> Vec<Change> {
    let same = |a: &Entry, b: &Entry| a.key() == b.key() && (a.layer == b.layer || a.layer.is_none() || b.layer.is_none());
    let missing = base.iter().filter(|old| !new.iter().any(|entry| same(old, entry)));
    let mut changes: Vec<Change> = missing.map(|old| Change::missing(old, noise)).collect();
    for entry in new {
        let Some(old) = base.iter().find(|old| same(old, entry)) else {
            changes.push(Change::of(entry, entry, [None, entry.result.best()], noise));
            continue;
        };
        if !each {
            changes.push(Change::of(old, entry, [old.result.best(), entry.result.best()], noise));
            continue;
        }
        let right = |c: &&CandidateResult| c.ns().is_some();
        for kernel in old.result.candidates.iter().filter(right) {
            let now = entry.result.candidates.iter().find(|c| c.label() == kernel.label());
            // A kernel that was not measured this time is not broken.
            if let Some(now) = now {
                changes.push(Change::of(old, entry, [Some(kernel), Some(now).filter(right)], noise));
            }
        }
    }
    changes
}

/// Sums over the cases that both have, each as often as the model has it: nanoseconds of the first and of the second.
pub fn totals(changes: &[Change]) -> [f64; 2] {
    let both = changes.iter().filter_map(|c| Some((c.base_ns?, c.new_ns?, f64::from(c.times))));
    both.fold([0.0, 0.0], |[a, b], (base, new, times)| [a + base * times, b + new * times])
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::entry;
    use super::*;
    use crate::measure::Verdict;

    #[test]
    fn what_changed_by_more_than_noise_is_found() {
        let base = [entry(7, &[("register_tile", 100.0)]), entry(14, &[("register_tile", 100.0)]), entry(28, &[("register_tile", 100.0)])];
        let new = [entry(7, &[("register_tile", 60.0)]), entry(14, &[("register_tile", 101.0)]), entry(28, &[("register_tile", 160.0)])];
        let found = compare(&base, &new, 0.05, false);
        assert_eq!(found.iter().map(|c| c.became).collect::<Vec<_>>(), [Became::Faster, Became::Same, Became::Slower]);
        let [a, b] = totals(&found);
        assert!((b / a - 321.0 / 300.0).abs() < 0.01);
    }

    #[test]
    fn kernels_that_are_wrong_now_are_broken() {
        let base = [entry(7, &[("register_tile", 100.0), ("split_k", 200.0)])];
        let mut now = entry(7, &[("register_tile", 100.0), ("split_k", 200.0)]);
        now.result.candidates[1].verdict = Verdict::Differs("somewhere".into());
        let found = compare(&base, &[now.clone()], 0.05, true);
        assert_eq!(found.iter().map(|c| c.became).collect::<Vec<_>>(), [Became::Same, Became::Broken]);
        now.result.candidates[0].verdict = Verdict::Failed("no".into());
        assert_eq!(compare(&base, &[now], 0.05, false)[0].became, Became::Broken);
        assert_eq!(compare(&[], &base, 0.05, false)[0].became, Became::Unmatched);
    }

    #[test]
    fn cases_that_the_second_has_not_are_missing() {
        let base = [entry(7, &[("register_tile", 100.0)]), entry(14, &[("register_tile", 100.0)]), entry(28, &[])];
        for each in [false, true] {
            let found = compare(&base, &base[..1], 0.05, each);
            assert_eq!(found.iter().map(|c| c.became).collect::<Vec<_>>(), [Became::Missing, Became::Unmatched, Became::Same]);
            assert!(found[0].name.contains("14x14") && found[0].base.as_deref() == Some("register_tile"), "{found:?}");
        }
    }
}
