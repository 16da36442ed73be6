//! Sweeps: many candidates of a case, all of them to the end or the better ones alone, and going on where a run ended.

use super::Entry;
use crate::kernel::Variant;
use crate::measure::{CandidateResult, Verdict, fingerprint};

/// How candidates are weeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// All with all rounds.
    Grid,
    /// All with few rounds, the better third with three times as many, and so on.
    Halving,
}

/// What is left of the candidates from rung to rung.
const KEPT: usize = 3;

impl Strategy {
    /// Rounds of each rung.
    pub fn rungs(self, rounds: u32) -> Vec<u32> {
        match self {
            Strategy::Grid => vec![rounds.max(1)],
            Strategy::Halving => {
                let mut rungs = vec![rounds.max(1)];
                while rungs[0] > 2 {
                    rungs.insert(0, rungs[0].div_ceil(3));
                }
                rungs
            }
        }
    }
}

/// What is to be measured on a rung: the candidates that got this far and are not on record with as many rounds.
/// `entry` is what the record has of the case.
pub fn todo<'a>(entry: Option<&Entry>, candidates: &[&'a Variant], rung: usize, rounds: u32) -> Vec<&'a Variant> {
    let found = |v: &Variant| {
        let print = fingerprint(v);
        entry.and_then(|e| e.result.candidates.iter().find(|c| c.fingerprint == print && !matches!(c.verdict, Verdict::Skipped(_))))
    };
    // A candidate that was weeded in the course of a rung has fewer samples than it, and is known all the same.
    let known = |c: &CandidateResult| !c.verdict.is_right() || c.warm.is_some_and(|t| rung == 0 || t.samples >= rounds);
    survivors(entry, candidates, rung).into_iter().filter(|v| !found(v).is_some_and(known)).collect()
}

/// The candidates that are still there on a rung: all on the first, the best third of the right ones on the next.
fn survivors<'a>(entry: Option<&Entry>, candidates: &[&'a Variant], rung: usize) -> Vec<&'a Variant> {
    let Some(entry) = entry.filter(|_| rung > 0) else { return candidates.to_vec() };
    let ns = |v: &Variant| entry.result.candidates.iter().find(|c| c.fingerprint == fingerprint(v)).and_then(CandidateResult::ns);
    let mut ranked: Vec<(f64, &Variant)> = candidates.iter().filter_map(|v| Some((ns(v)?, *v))).collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Two at the least: one alone would have nothing to be held against.
    let kept = (0..rung).fold(candidates.len(), |n, _| n.div_ceil(KEPT)).max(2);
    ranked.into_iter().take(kept).map(|(_, v)| v).collect()
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::entry;
    use super::*;
    use crate::kernel::{OpKind, variants};

    #[test]
    fn rungs_end_with_all_rounds() {
        assert_eq!(Strategy::Grid.rungs(9), [9]);
        assert_eq!(Strategy::Halving.rungs(9), [1, 3, 9]);
        assert_eq!(Strategy::Halving.rungs(1), [1]);
    }

    #[test]
    fn what_is_on_record_is_not_measured_again_and_the_slow_are_weeded() {
        let table = variants();
        let names = ["register_tile", "split_k", "workgroup_tile"];
        let rows: Vec<&Variant> = names.iter().filter_map(|n| table.iter().find(|v| v.op == OpKind::Pointwise && v.name == *n)).collect();
        let left =
            |entry: Option<&Entry>, rung, rounds| todo(entry, &rows, rung, rounds).iter().map(|v| v.name.to_string()).collect::<Vec<_>>();
        assert_eq!(left(None, 0, 1), names);
        let some = entry(7, &[("split_k", 100.0)]);
        assert_eq!(left(Some(&some), 0, 1), ["register_tile", "workgroup_tile"]);
        let all = entry(7, &[("split_k", 100.0), ("register_tile", 300.0), ("workgroup_tile", 200.0)]);
        assert!(left(Some(&all), 0, 1).is_empty());
        assert_eq!(left(Some(&all), 1, 27), ["split_k", "workgroup_tile"], "with more rounds than are on record");
        assert!(left(Some(&all), 1, 9).is_empty());
    }
}
