//! The record of measurements on one device: all candidates of each case with their times, as versioned JSON.
//!
//! A record that cannot be read, is of another version, or of another device or driver, is an empty one: a miss is
//! never an error.

use crate::gpu::DeviceProfile;
use crate::kernel::{Case, Precision, Variant};
use crate::measure::{CandidateResult, CaseResult, Clock, Times, fingerprint};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the format.
pub const VERSION: u32 = 1;

/// The device that was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeviceKey {
    /// `vulkan`, `metal` …
    pub backend: String,
    /// The adapter's name.
    pub adapter: String,
    /// The driver's name and version.
    pub driver: String,
}

impl DeviceKey {
    /// The key of a device.
    pub fn of(profile: &DeviceProfile) -> Self {
        Self { backend: profile.backend.clone(), adapter: profile.name.clone(), driver: profile.driver.clone() }
    }

    /// How well measurements on `self` speak for a device: 0 not at all, 1 the same adapter with another driver,
    /// 2 the same driver family too, 3 the very same.
    pub fn likeness(&self, profile: &DeviceProfile) -> u32 {
        if *self == Self::of(profile) {
            return 3;
        }
        // llvmpipe's name carries LLVM's version and its vectors' width in parentheses.
        let family = |name: &str| name.split('(').next().unwrap_or_default().trim().to_lowercase();
        if self.backend != profile.backend || family(&self.adapter) != family(&profile.name) {
            return 0;
        }
        if driver_family(&self.driver) == driver_family(&profile.driver) { 2 } else { 1 }
    }

    /// A file name that tells devices apart: letters, digits and dashes.
    pub fn file_stem(&self) -> String {
        let text = format!("{} {} {}", self.backend, self.adapter, self.driver);
        let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
        words.collect::<Vec<_>>().join("-").to_lowercase()
    }
}

/// The driver's name up to its version's first number: `llvmpipe Mesa 22.3.6 (LLVM 15.0.6)` is `llvmpipe mesa 22`.
fn driver_family(driver: &str) -> String {
    let mut family = Vec::new();
    for word in driver.split_whitespace() {
        let major: String = word.chars().take_while(char::is_ascii_digit).collect();
        if !major.is_empty() {
            family.push(major);
            break;
        }
        family.push(word.to_lowercase());
    }
    family.join(" ")
}

/// A value as one line of JSON; ours are maps with text as keys, which cannot fail.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The candidates of one case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseRecord {
    /// When it was measured: seconds since 1970.
    #[serde(default)]
    pub measured: u64,
    /// Where the times come from.
    pub clock: Clock,
    /// The case; left out of records that ship.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<Case>,
    /// All candidates, wrong and slow ones too.
    pub candidates: Vec<CandidateResult>,
}

/// What was measured on one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TuningRecord {
    version: u32,
    /// The device.
    pub device: DeviceKey,
    /// What else a browser tells of its adapter (`GPUAdapterInfo`), for people; nothing is chosen by it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub adapter_info: BTreeMap<String, String>,
    cases: BTreeMap<String, CaseRecord>,
}

impl TuningRecord {
    /// An empty record for a device.
    pub fn new(profile: &DeviceProfile) -> Self {
        Self::of(DeviceKey::of(profile))
    }

    /// An empty record for a device that need not be here.
    pub fn of(device: DeviceKey) -> Self {
        Self { version: VERSION, device, adapter_info: BTreeMap::new(), cases: BTreeMap::new() }
    }

    /// The key of a case: `pointwise 1x 56x56x24-144 relu6 f32`. On which side the zeros are takes no time, so PyTorch's
    /// and TensorFlow's paddings share their measurements.
    pub fn key(case: &Case, precision: Precision) -> String {
        let case = Case { padding: [0, 0], ..*case };
        format!("{} {case} {precision}", case.op)
    }

    /// Reads a record, whatever device it is of.
    ///
    /// # Errors
    /// [`Error::Option`] if it is damaged or of another version; what runs by itself uses [`TuningRecord::load`].
    pub fn parse(text: &str) -> Result<Self> {
        let error = |message: String| Error::Option { option: "tuning", message };
        let record: Self = serde_json::from_str(text).map_err(|e| error(format!("not a tuning record ({e}); write one by `tune`")))?;
        if record.version != VERSION {
            return Err(error(format!("version {}, where this program reads {VERSION}; write a new one by `tune`", record.version)));
        }
        Ok(record)
    }

    /// The record in `text` if it is whole and of this very device and driver, else an empty one.
    pub fn load(text: &str, profile: &DeviceProfile) -> Self {
        match Self::parse(text) {
            Ok(record) if record.device == DeviceKey::of(profile) => return record,
            Ok(record) => tracing::info!("a tuning record of {:?} is not used on {}", record.device, profile.key()),
            Err(error) => tracing::warn!("a tuning record is not used: {error}"),
        }
        Self::new(profile)
    }

    /// The record as JSON, one case a line so that versions can be compared.
    pub fn save(&self) -> String {
        let cases = self.cases.iter().map(|(key, case)| format!("{}:{}", json(key), json(case)));
        let (cases, device) = (cases.collect::<Vec<_>>().join(",\n"), json(&self.device));
        let info = match self.adapter_info.is_empty() {
            true => String::new(),
            false => format!("\"adapter_info\":{},", json(&self.adapter_info)),
        };
        format!("{{\"version\":{},\"device\":{device},{info}\"cases\":{{\n{cases}\n}}}}\n", self.version)
    }

    /// The record as it ships: times in whole nanoseconds, and without what plans never ask for: cases' fields that their keys tell,
    /// workgroups, errors, compile times, bytes, times with cold caches, how times are spread, and candidates that took more than three
    /// times as long as the fastest.
    pub fn compact(&self) -> Self {
        let mut record = self.clone();
        for case in record.cases.values_mut() {
            case.case = None;
            let least = case.candidates.iter().filter_map(CandidateResult::ns).fold(f64::INFINITY, f64::min);
            case.candidates.retain(|candidate| candidate.ns().is_none_or(|ns| ns <= 3.0 * least));
            for candidate in &mut case.candidates {
                (candidate.workgroups, candidate.error, candidate.compile, candidate.cold) = ([0; 3], None, None, None);
                candidate.moved.clear();
                if let Some(times) = &mut candidate.warm {
                    *times = Times { min: times.min.round(), p10: 0.0, median: times.typical().round(), p90: 0.0, samples: 0, repeats: 0 };
                }
            }
        }
        record
    }

    /// The candidates of a case.
    pub fn get(&self, case: &Case, precision: Precision) -> Option<&CaseRecord> {
        self.cases.get(&Self::key(case, precision))
    }

    /// All cases by key.
    pub fn cases(&self) -> impl Iterator<Item = (&str, &CaseRecord)> {
        self.cases.iter().map(|(key, case)| (key.as_str(), case))
    }

    /// Number of cases.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// Cases that are asked in vain, as the kernel that was fastest there has been edited since.
    pub fn stale(&self, variants: &[Variant]) -> usize {
        let is_stale = |(key, case): &(&String, &CaseRecord)| {
            let op = key.split(' ').next().unwrap_or_default();
            let timed = case.candidates.iter().filter_map(|c| Some((c.ns()?, c)));
            let Some((_, fastest)) = timed.min_by(|a, b| a.0.total_cmp(&b.0)) else { return false };
            variants.iter().any(|v| v.op.name() == op && fastest.is_of(v) && fingerprint(v) != fastest.fingerprint)
        };
        self.cases.iter().filter(is_stale).count()
    }

    /// Keeps a measurement. Candidates that were measured before and are not among the new ones stay; `measured` is in
    /// seconds since 1970.
    pub fn insert(&mut self, result: CaseResult, measured: u64) {
        let CaseResult { case, precision, clock, candidates } = result;
        self.put(Self::key(&case, precision), CaseRecord { measured, clock, case: Some(case), candidates });
    }

    /// Takes in another record of the same device; where both have a candidate, the later measurement stays.
    pub fn merge(&mut self, other: &TuningRecord) {
        for (key, case) in &other.cases {
            match self.cases.get(key) {
                Some(own) if own.measured > case.measured => {
                    let newer = own.clone();
                    self.cases.insert(key.clone(), case.clone());
                    self.put(key.clone(), newer);
                }
                _ => self.put(key.clone(), case.clone()),
            }
        }
    }

    fn put(&mut self, key: String, mut case: CaseRecord) {
        if let Some(old) = self.cases.remove(&key)
            && old.clock == case.clock
        {
            let new = |c: &CandidateResult| case.candidates.iter().any(|n| n.variant == c.variant && n.parameters == c.parameters);
            let kept: Vec<_> = old.candidates.into_iter().filter(|c| !new(c)).collect();
            case.candidates.extend(kept);
        }
        self.cases.insert(key, case);
    }
}
