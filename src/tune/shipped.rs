//! Records of adapters that we could measure, compiled into the crate.

use super::TuningRecord;
use crate::gpu::DeviceProfile;
use std::sync::OnceLock;

/// Each file is [`TuningRecord::compact`] of a record, as `mobilenet tune --compact` writes it, less what no plan asks for: kernels that take
/// over 1.6 times as long as the fastest (3 times, of those that many layers share), and llvmpipe's fused blocks where their parts are faster.
#[cfg(not(target_arch = "wasm32"))]
const FILES: &[&str] = &[
    include_str!("shipped/llvmpipe-mesa-22.json"),
    include_str!("shipped/llvmpipe-mesa-25.json"),
    include_str!("shipped/nvidia-h200.json"),
];

/// None of them is of a browser's device, and a page would download them.
#[cfg(target_arch = "wasm32")]
const FILES: &[&str] = &[];

/// The record that speaks best for a device, if any does.
pub(super) fn for_device(profile: &DeviceProfile) -> Option<&'static TuningRecord> {
    static RECORDS: OnceLock<Vec<TuningRecord>> = OnceLock::new();
    // A test reads each file; one that cannot be read would be a miss.
    let records = RECORDS.get_or_init(|| FILES.iter().filter_map(|text| TuningRecord::parse(text).ok()).collect());
    let like = records.iter().map(|r| (r.device.likeness(profile), r)).filter(|(likeness, _)| *likeness > 0);
    like.max_by_key(|(likeness, _)| *likeness).map(|(_, record)| record)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_file_can_be_read() {
        FILES.iter().for_each(|text| assert!(!TuningRecord::parse(text).unwrap().is_empty()));
    }

    /// An edited kernel has other times: `mobilenet tune` on both of Mesa's drivers, and these files anew. (The H200's record is of older
    /// texts of a few kernels.)
    #[test]
    fn records_of_llvmpipe_are_of_the_kernels_as_they_are() {
        let table = crate::kernel::variants();
        for record in FILES.iter().map(|text| TuningRecord::parse(text).unwrap()).filter(|r| r.device.adapter.starts_with("llvmpipe")) {
            for (case, candidate) in record.cases().flat_map(|(case, found)| found.candidates.iter().map(move |c| (case, c))) {
                let op = case.split(' ').next().unwrap_or_default();
                let kernel = table.iter().find(|v| v.op.to_string() == op && v.name == candidate.variant);
                let now = kernel.map(crate::measure::fingerprint);
                assert_eq!(now.as_deref(), Some(candidate.fingerprint.as_str()), "{case}: {}", candidate.variant);
            }
        }
    }
}
