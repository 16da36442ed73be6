//! Records and how they are asked: what is kept, what is a miss, who wins.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::gpu::DeviceProfile;
use crate::graph::{Activation, Shape};
use crate::kernel::{Case, OpKind, Precision, Variant, variants};
use crate::measure::{CandidateResult, CaseResult, Clock, Times, Verdict};

const F32: Precision = Precision::F32;

fn case() -> Case {
    let plain = Case::plain(OpKind::Pointwise, 1, Shape::new(14, 14, 96), Shape::new(14, 14, 576));
    Case { activation: Activation::Relu6, ..plain }
}

fn candidate(variant: &Variant, ns: f64) -> CandidateResult {
    let times = Times::of(&[ns], 1);
    CandidateResult { warm: times, error: Some(1e-7), ..CandidateResult::new(variant, [1, 1, 1], Verdict::Right) }
}

fn result(times: &[(&str, f64)]) -> CaseResult {
    let table = variants();
    let row = |name: &str| table.iter().find(|v| v.op == OpKind::Pointwise && v.name == name).unwrap();
    let candidates = times.iter().map(|(name, ns)| candidate(row(name), *ns)).collect();
    CaseResult { case: case(), precision: F32, clock: Clock::Wall, candidates }
}

fn record(profile: &DeviceProfile, times: &[(&str, f64)]) -> TuningRecord {
    let mut record = TuningRecord::new(profile);
    record.insert(result(times), 7);
    record
}

fn winner(tuning: &Tuning, profile: &DeviceProfile) -> Option<String> {
    let table = variants();
    tuning.find(&case(), F32, profile, &table).map(|found| table[found.row].name.to_string())
}

#[test]
fn a_record_survives_text() {
    let profile = DeviceProfile::llvmpipe();
    let mut written = record(&profile, &[("register_tile", 40.5), ("split_k", 30.0)]);
    let mut wrong = result(&[("matvec", 1.0)]);
    wrong.candidates[0].verdict = Verdict::Differs("by 0.5 at pixel 3".into());
    wrong.candidates[0].error = Some(0.5);
    written.insert(wrong, 8);
    let read = TuningRecord::load(&written.save(), &profile);
    assert_eq!(read.get(&case(), F32).unwrap().candidates.len(), 3, "what was measured before stays");
    assert_eq!(read.save(), written.save());
    assert_eq!(written.save().lines().count(), 3, "one line a case");
}

#[test]
fn damage_another_version_and_another_driver_are_misses() {
    let profile = DeviceProfile::llvmpipe();
    let text = record(&profile, &[("split_k", 30.0)]).save();
    let other = DeviceProfile { driver: "Mesa 99".into(), ..profile.clone() };
    for (text, profile) in [
        ("", &profile),
        ("{\"version\":1}", &profile),
        (&text[..text.len() / 2], &profile),
        (&text.replace("\"version\":1", "\"version\":99"), &profile),
        (text.as_str(), &other),
    ] {
        assert!(TuningRecord::load(text, profile).is_empty(), "{text}");
    }
    assert!(TuningRecord::parse("{").unwrap_err().to_string().contains("tune"));
}

#[test]
fn the_fastest_right_candidate_that_applies_wins() {
    let llvmpipe = DeviceProfile::llvmpipe();
    let times = [("register_tile", 40.0), ("split_k", 30.0), ("subgroup8_28", 10.0)];
    let tuning = Tuning::none().with(record(&llvmpipe, &times));
    assert_eq!(winner(&tuning, &llvmpipe).as_deref(), Some("subgroup8_28"));
    let found = tuning.find(&case(), F32, &llvmpipe, &variants()).unwrap();
    assert_eq!((found.ns, found.runner_up, found.shipped), (10.0, Some(("split_k".to_string(), 30.0)), false));

    let narrow = DeviceProfile { subgroup_size: None, ..llvmpipe.clone() };
    assert_eq!(winner(&tuning, &narrow).as_deref(), Some("split_k"), "a kernel that does not apply is passed over");
    assert_eq!(winner(&tuning, &DeviceProfile::desktop()), None, "another device's record");

    let mut wrong = result(&times);
    wrong.candidates[2].verdict = Verdict::Unsteady("race".into());
    let mut marked = TuningRecord::new(&llvmpipe);
    marked.insert(wrong, 7);
    assert_eq!(winner(&Tuning::none().with(marked), &llvmpipe).as_deref(), Some("split_k"));
}

#[test]
fn an_edited_winner_is_a_miss_and_the_next_record_is_asked() {
    let profile = DeviceProfile::llvmpipe();
    let mut edited = result(&[("register_tile", 5.0), ("split_k", 30.0)]);
    edited.candidates[0].fingerprint = "0".into();
    let mut stale = TuningRecord::new(&profile);
    stale.insert(edited, 7);
    let table = crate::kernel::variants();
    assert_eq!([stale.stale(&table), record(&profile, &[("split_k", 30.0)]).stale(&table)], [1, 0]);
    let tuning = Tuning::none().with(record(&profile, &[("split_k", 30.0)])).with(stale.clone());
    assert_eq!(winner(&Tuning::none().with(stale), &profile), None);
    assert_eq!(winner(&tuning, &profile).as_deref(), Some("split_k"));
}

#[test]
fn a_compact_record_chooses_as_the_whole_one() {
    let profile = DeviceProfile::llvmpipe();
    let mut restless = result(&[("register_tile", 40.0), ("split_k", 30.0)]);
    restless.candidates[0].warm = Times::of(&[20.4, 90.0, 200.0], 1);
    let mut whole = TuningRecord::new(&profile);
    whole.insert(restless, 7);
    let compact = TuningRecord::parse(&whole.compact().save()).unwrap();
    assert!(compact.save().len() < whole.save().len() * 2 / 3, "{}", compact.save());
    let found = |record: TuningRecord| Tuning::none().with(record).find(&case(), F32, &profile, &variants()).unwrap();
    let (whole, compact) = (found(whole), found(compact));
    assert_eq!((compact.row, compact.ns, compact.runner_up), (whole.row, whole.ns.round(), whole.runner_up));
}

#[test]
fn on_software_adapters_one_picture_speaks_for_several() {
    let batch = |n| case().with_batch(n);
    let find = |profile: &DeviceProfile, case: &Case, tuning: &Tuning| tuning.find(case, Precision::F32, profile, &variants());
    let software = DeviceProfile::llvmpipe();
    let one = Tuning::none().with(record(&software, &[("register_tile", 40.0), ("split_k", 30.0)]));
    let found = find(&software, &batch(4), &one).unwrap();
    assert_eq!((found.ns, found.runner_up, found.batch), (120.0, Some(("register_tile".into(), 160.0)), 1));
    // What was measured at the batch itself comes first.
    let mut both = record(&software, &[("split_k", 30.0)]);
    both.insert(CaseResult { case: batch(4), ..result(&[("register_tile", 90.0)]) }, 7);
    let found = find(&software, &batch(4), &Tuning::none().with(both)).unwrap();
    assert_eq!((found.ns, found.batch), (90.0, 4));
    // A GPU that one picture does not fill says nothing of four, nor does a layer of one pixel, which a tile computes 28 times anyway.
    let desktop = DeviceProfile::desktop();
    assert_eq!(find(&desktop, &batch(4), &Tuning::none().with(record(&desktop, &[("split_k", 30.0)]))), None);
    let pixel = Shape::new(1, 1, 64);
    let small = Case { input: pixel, output: pixel, ..case() };
    let mut of_one = TuningRecord::new(&software);
    of_one.insert(CaseResult { case: small, ..result(&[("split_k", 30.0)]) }, 7);
    let of_one = Tuning::none().with(of_one);
    assert!(find(&software, &small, &of_one).is_some() && find(&software, &small.with_batch(4), &of_one).is_none());
}

#[test]
fn merging_keeps_the_later_measurement() {
    let profile = DeviceProfile::llvmpipe();
    let mut old = record(&profile, &[("register_tile", 10.0), ("matvec", 50.0)]);
    let mut new = TuningRecord::new(&profile);
    new.insert(result(&[("register_tile", 40.0), ("split_k", 30.0)]), 8);
    let mut other_way = new.clone();
    other_way.merge(&old);
    old.merge(&new);
    for merged in [&old, &other_way] {
        let case = merged.get(&case(), F32).unwrap();
        let find = |name: &str| case.candidates.iter().find(|c| c.variant == name).and_then(CandidateResult::ns);
        assert_eq!([find("register_tile"), find("split_k"), find("matvec")], [Some(40.0), Some(30.0), Some(50.0)]);
    }
}

#[test]
fn records_speak_for_their_adapter_whatever_its_version() {
    let mesa = |name: &str, driver: &str| DeviceProfile { name: name.into(), driver: driver.into(), ..DeviceProfile::llvmpipe() };
    let key = DeviceKey::of(&mesa("llvmpipe (LLVM 15.0.6, 256 bits)", "llvmpipe Mesa 22.3.6 (LLVM 15.0.6)"));
    assert_eq!(key.likeness(&mesa("llvmpipe (LLVM 15.0.6, 256 bits)", "llvmpipe Mesa 22.3.6 (LLVM 15.0.6)")), 3);
    assert_eq!(key.likeness(&mesa("llvmpipe (LLVM 15.0.7, 128 bits)", "llvmpipe Mesa 22.1.0 (LLVM 15.0.7)")), 2);
    assert_eq!(key.likeness(&mesa("llvmpipe (LLVM 19.1.7, 256 bits)", "llvmpipe Mesa 25.0.7 (LLVM 19.1.7)")), 1);
    assert_eq!(key.likeness(&mesa("SwiftShader", "llvmpipe Mesa 22.3.6")), 0);
    assert_eq!(key.file_stem(), "vulkan-llvmpipe-llvm-15-0-6-256-bits-llvmpipe-mesa-22-3-6-llvm-15-0-6");
}

#[test]
fn what_a_browser_tells_of_its_adapter_stays_in_its_record() {
    let browser = DeviceProfile { name: "apple metal-3".into(), driver: String::new(), ..DeviceProfile::web() };
    let mut record = record(&browser, &[("split_k", 5.0), ("register_tile", 9.0)]);
    assert!(!record.save().contains("adapter_info"), "nothing where nothing is told");
    record.adapter_info.insert("vendor".into(), "apple".into());
    let read = TuningRecord::parse(&record.save()).unwrap();
    assert_eq!(read, record);
    assert_eq!(winner(&Tuning::none().with(read), &browser).as_deref(), Some("split_k"));
}
