//! Records of adapters that we could measure, compiled into the crate.

use super::TuningRecord;
use crate::gpu::DeviceProfile;
use std::sync::OnceLock;

/// Each file is [`TuningRecord::compact`] of a record, as `mobilenet tune --compact` writes it; of llvmpipe's depthwise cases only what
/// comes within 1.6 times the fastest.
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
}
