//! What the lab keeps of a measurement: one line of JSON that needs nothing beside it to be read, compared, drawn or
//! made into a tuning record.

use super::{Roof, Standing};
use crate::gpu::DeviceProfile;
use crate::kernel::{OpKind, Precision, Variant};
use crate::measure::{CandidateResult, CaseResult, Verdict, traffic};
use crate::tune::{DeviceKey, TuningRecord};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A case as it was measured, with all its candidates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The device.
    pub device: DeviceKey,
    /// Seconds since 1970.
    #[serde(default)]
    pub measured: u64,
    /// The command that measured it, as one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// The layer of the model, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// Layers of the model that are this case.
    #[serde(default = "one")]
    pub times: u32,
    /// The case and its candidates.
    #[serde(flatten)]
    pub result: CaseResult,
    /// Floating-point operations of a dispatch, two for a multiply-accumulate.
    #[serde(default)]
    pub operations: f64,
    /// Bytes that a dispatch must move: inputs, parameters and output, each once.
    #[serde(default)]
    pub bytes: f64,
    /// What the adapter can do at best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roof: Option<Roof>,
    /// Each right candidate against it, by the candidate's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub standing: BTreeMap<String, Standing>,
    /// WGSL of kernels that are not of our table, by fingerprint.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, String>,
}

fn one() -> u32 {
    1
}

/// Headings of [`Entry::figures`].
pub const FIGURES: [&str; 11] =
    ["us", "p10", "p90", "flushed", "GFLOP/s", "GB/s", "moved GB/s", "of roof", "workgroups", "compile ms", "error"];

impl Entry {
    /// Of a measurement on a device.
    pub fn new(profile: &DeviceProfile, result: CaseResult, roof: Option<&Roof>) -> Self {
        Self::of(DeviceKey::of(profile), result, roof)
    }

    fn of(device: DeviceKey, result: CaseResult, roof: Option<&Roof>) -> Self {
        let operations = 2.0 * result.case.macs() as f64;
        let bytes = traffic(&result.case, result.precision).unwrap_or(0) as f64;
        let stand = |roof: &Roof, c: &CandidateResult| c.ns().map(|ns| (c.label(), roof.standing(operations, bytes, ns, result.precision)));
        let standing = roof.map(|roof| result.candidates.iter().filter_map(|c| stand(roof, c)).collect());
        Self {
            device,
            measured: crate::tune::now(),
            command: String::new(),
            layer: None,
            times: 1,
            operations,
            bytes,
            roof: roof.cloned(),
            standing: standing.unwrap_or_default(),
            sources: BTreeMap::new(),
            result,
        }
    }

    /// The same measurement against a roof.
    #[must_use]
    pub fn against(self, roof: &Roof) -> Self {
        let Self { device, measured, command, layer, times, sources, result, .. } = self;
        Self { measured, command, layer, times, sources, ..Self::of(device, result, Some(roof)) }
    }

    /// With the WGSL of `variants`, which nobody else has.
    #[must_use]
    pub fn with_sources(mut self, variants: &[Variant]) -> Self {
        let known = |v: &&Variant| self.result.candidates.iter().any(|c| c.fingerprint == crate::measure::fingerprint(v));
        let sources: Vec<_> = variants.iter().filter(known).map(|v| (crate::measure::fingerprint(v), v.source.to_string())).collect();
        self.sources.extend(sources);
        self
    }

    /// The layer, or what is computed.
    pub fn name(&self) -> String {
        self.layer.clone().unwrap_or_else(|| format!("{} {}", self.result.case.op, self.result.case))
    }

    /// What tells this case from others of a record: op, shapes and types.
    pub fn key(&self) -> String {
        TuningRecord::key(&self.result.case, self.result.precision)
    }

    /// The entry as one line.
    ///
    /// # Errors
    /// None that is known: numbers that are not finite become `null`.
    pub fn line(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|e| bad(&e.to_string()))
    }

    /// What a table shows of a candidate: texts for [`FIGURES`], rates with so many `decimals`.
    pub fn figures(&self, c: &CandidateResult, decimals: usize) -> [String; FIGURES.len()] {
        let rate = |amount: f64| c.ns().filter(|_| amount > 0.0).map(|ns| format!("{:.decimals$}", amount / ns)).unwrap_or_default();
        let share = self.standing.get(&c.label());
        let share = share.map(|s| format!("{:.0} %{}", s.share * 100.0, if s.implausible { " (!)" } else { "" }));
        let [x, y, z] = c.workgroups;
        let spread = c.warm.and_then(|t| t.spread());
        [
            us(c.ns()),
            us(spread.map(|[low, _]| low)),
            us(spread.map(|[_, high]| high)),
            us(c.cold.map(|t| t.median)),
            rate(self.operations),
            rate(self.bytes),
            c.moved_bytes().map(|bytes| rate(bytes as f64)).unwrap_or_default(),
            share.unwrap_or_default(),
            if x > 0 { format!("{x}x{y}x{z}") } else { String::new() },
            c.compile.map(|ns| format!("{:.1}", ns / 1e6)).unwrap_or_default(),
            c.error.map(|e| format!("{e:.1e}")).unwrap_or_default(),
        ]
    }

    /// The names of right candidates whose standing is above what the adapter can do.
    pub fn implausible(&self) -> impl Iterator<Item = &str> {
        self.standing.iter().filter(|(_, s)| s.implausible).map(|(name, _)| name.as_str())
    }

    /// Candidates for which no time was left.
    pub fn skipped(&self) -> impl Iterator<Item = &CandidateResult> {
        self.result.candidates.iter().filter(|c| matches!(c.verdict, Verdict::Skipped(_)))
    }
}

/// Nanoseconds as microseconds in a cell.
pub(super) fn us(ns: Option<f64>) -> String {
    ns.map(|ns| format!("{:.1}", ns / 1e3)).unwrap_or_default()
}

fn bad(why: &str) -> Error {
    Error::Option { option: "results", message: why.to_string() }
}

/// Reads results: lines of entries, an array of them, or a tuning record. Of several entries of a case in one file the later
/// stand over the earlier, candidate by candidate.
///
/// # Errors
/// [`Error::Option`] with the line that cannot be read.
pub fn read_entries(text: &str) -> Result<Vec<Entry>> {
    let start = text.trim_start();
    if start.starts_with('[') {
        return serde_json::from_str(text).map_err(|e| bad(&format!("not an array of the lab's results ({e})"))).map(join);
    }
    if let Ok(record) = TuningRecord::parse(text) {
        return Ok(of_record(&record));
    }
    let mut entries = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (i, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(entry) => entries.push(entry),
            // A run that was killed leaves half a line at the end.
            Err(_) if i + 1 == lines.len() && !text.ends_with('\n') => break,
            Err(e) => return Err(bad(&format!("line {}: neither a result of the lab nor a tuning record ({e})", i + 1))),
        }
    }
    Ok(join(entries))
}

/// Entries of the same case, layer and device as one, in the order of their first.
pub fn join(entries: Vec<Entry>) -> Vec<Entry> {
    let mut joined: Vec<Entry> = Vec::new();
    for mut entry in entries {
        let same = |e: &&mut Entry| e.key() == entry.key() && e.device == entry.device && e.layer == entry.layer;
        let Some(old) = joined.iter_mut().find(same) else {
            joined.push(entry);
            continue;
        };
        let again = |c: &CandidateResult| entry.result.candidates.iter().any(|n| n.label() == c.label());
        let kept: Vec<_> = old.result.candidates.iter().filter(|c| !again(c)).cloned().collect();
        let names: Vec<String> = kept.iter().map(CandidateResult::label).collect();
        entry.standing.extend(old.standing.iter().filter(|(name, _)| names.contains(name)).map(|(n, s)| (n.clone(), *s)));
        entry.sources.extend(old.sources.clone());
        entry.result.candidates.splice(0..0, kept);
        entry.times = entry.times.max(old.times);
        entry.roof = entry.roof.or(old.roof.take());
        *old = entry;
    }
    joined
}

/// A tuning record as entries; records that ship do not hold their cases, and give none.
pub fn of_record(record: &TuningRecord) -> Vec<Entry> {
    let entry = |key: &str, kept: &crate::tune::CaseRecord| {
        let precision = key.rsplit(' ').next().and_then(Precision::named)?;
        let result = CaseResult { case: kept.case?, precision, clock: kept.clock, candidates: kept.candidates.clone() };
        Some(Entry { measured: kept.measured, ..Entry::of(record.device.clone(), result, None) })
    };
    record.cases().filter_map(|(key, kept)| entry(key, kept)).collect()
}

/// What became of results that were to be a tuning record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Cases that are in the record now.
    pub cases: usize,
    /// Cases of another device, which are not.
    pub foreign: usize,
    /// Cases whose fastest kernel is not of our table: plans take it only together with its file.
    pub foreign_kernels: Vec<(OpKind, String)>,
}

/// Takes results into a tuning record of their device.
pub fn adopt(entries: &[Entry], record: &mut TuningRecord) -> Adopted {
    let mut adopted = Adopted::default();
    for entry in entries {
        if entry.device != record.device {
            adopted.foreign += 1;
            continue;
        }
        let own = entry.result.best().filter(|best| entry.sources.contains_key(&best.fingerprint));
        adopted.foreign_kernels.extend(own.map(|best| (entry.result.case.op, best.label())));
        record.insert(entry.result.clone(), entry.measured);
        adopted.cases += 1;
    }
    adopted
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use crate::graph::{Activation, Shape};
    use crate::kernel::{Case, variants};
    use crate::measure::{Clock, Times};

    pub(crate) fn case(op: OpKind, side: u32) -> Case {
        let shape = Shape::new(side, side, 24);
        Case { activation: Activation::Relu6, ..Case::plain(op, 1, shape, shape) }
    }

    pub(crate) fn entry(side: u32, ns: &[(&str, f64)]) -> Entry {
        let table = variants();
        let candidate = |(name, ns): &(&str, f64)| {
            let variant = table.iter().find(|v| v.op == OpKind::Pointwise && v.name == *name).unwrap_or(&table[0]);
            let samples: Vec<f64> = (0..9).map(|i| ns * (1.0 + 0.002 * f64::from(i))).collect();
            let mut result = CandidateResult::new(variant, [1, 1, 1], Verdict::Right);
            result.variant = name.to_string();
            result.warm = Times::of(&samples, 10);
            result
        };
        let candidates = ns.iter().map(candidate).collect();
        let result = CaseResult { case: case(OpKind::Pointwise, side), precision: Precision::F32, clock: Clock::Timestamps, candidates };
        Entry::new(&DeviceProfile::desktop(), result, None)
    }

    #[test]
    fn lines_are_read_back_and_joined() {
        let (first, second) = (entry(7, &[("register_tile", 5e3), ("split_k", 9e3)]), entry(7, &[("split_k", 4e3)]));
        let text = format!("{}\n{}\n", first.line().unwrap(), second.line().unwrap());
        let read = read_entries(&text).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].result.candidates.len(), 2);
        assert_eq!(read[0].result.best().unwrap().variant, "split_k");
        let broken = format!("{text}{}", &first.line().unwrap()[..50]);
        assert_eq!(read_entries(&broken).unwrap().len(), 1, "half a line at the end is a run that was killed");
        let error = read_entries(&format!("{}\nnothing\n", first.line().unwrap())).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn results_become_a_tuning_record_and_come_back() {
        let entries = vec![entry(7, &[("register_tile", 5e3)]), entry(14, &[("split_k", 5e3)])];
        let mut record = TuningRecord::new(&DeviceProfile::desktop());
        assert_eq!(adopt(&entries, &mut record), Adopted { cases: 2, ..Default::default() });
        assert_eq!(adopt(&entries, &mut TuningRecord::new(&DeviceProfile::phone())).foreign, 2);
        let back = read_entries(&record.save()).unwrap();
        assert_eq!(back.len(), 2);
        assert_eq!((back[0].bytes, back[0].operations > 0.0), (entries.iter().find(|e| e.key() == back[0].key()).unwrap().bytes, true));
    }
}
