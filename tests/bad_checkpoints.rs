//! Bad files: each is a clear error, none a panic, and none allocates by an unchecked number.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/checkpoint.rs"]
mod checkpoint;
#[path = "common/rule.rs"]
mod rule;

use checkpoint::{Checkpoint, Entry};
use mobilenet_wgpu::model::{LoadOptions, Model};
use proptest::prelude::*;
use safetensors::Dtype;
use std::sync::OnceLock;

fn of(case: &str) -> Checkpoint {
    Checkpoint::parse(&rule::case(case).checkpoint())
}

fn error(bytes: Vec<u8>) -> String {
    match Model::from_bytes(bytes, &LoadOptions::default()) {
        Ok(model) => panic!("loaded: {}", model.recognition()),
        Err(e) => e.to_string(),
    }
}

fn assert_says(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
}

/// A file with this header, its length as given or right.
fn with_header(header: &str, length: Option<u64>, data: usize) -> Vec<u8> {
    let length = length.unwrap_or(header.len() as u64);
    [&length.to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
}

#[test]
fn damaged_files() {
    let good = rule::case("caffe_v1_025_folded").checkpoint();
    assert_says(&error(Vec::new()), &["empty"]);
    assert_says(&error(vec![1, 2, 3]), &["3 bytes"]);
    assert_says(&error(good[..good.len() - 5].to_vec()), &["cut short"]);
    assert_says(&error(good[..200].to_vec()), &["header", "cut short"]);
    assert_says(&error([&good[..], &[0; 7]].concat()), &["do not end where the file does"]);
    for length in [1 << 20, 1 << 40, u64::MAX, u64::MAX - 7] {
        assert_says(&error(with_header("{}", Some(length), 0)), &["header", &length.to_string()]);
    }
    assert_says(&error(with_header("{}", None, 0)), &["no tensors"]);
    assert_says(&error(with_header("{\"a\":", None, 0)), &["header is damaged"]);
    let huge = r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,4]}}"#;
    assert_says(&error(with_header(huge, None, 4)), &["larger than any file"]);
    let beyond = r#"{"a":{"dtype":"F32","shape":[1000000],"data_offsets":[0,4000000]}}"#;
    assert_says(&error(with_header(beyond, None, 4)), &["do not end where the file does"]);
    let misfit = r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,4]}}"#;
    assert_says(&error(with_header(misfit, None, 4)), &["do not fit its shape"]);
    let gap = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    assert_says(&error(with_header(gap, None, 8)), &["`a`"]);
}

#[test]
fn other_formats_are_named() {
    for (bytes, words) in [
        (&b"PK\x03\x04.....archive/data.pkl......"[..], &["PyTorch", "mobilenet convert"][..]),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", &["PyTorch", "mobilenet convert"]),
        (b"\x89HDF\r\n\x1a\n........", &["Keras", ".h5"]),
        (b"\x20\x00\x00\x00TFL3\x00\x00\x00\x00", &[".tflite"]),
        (b"\x08\x08\x12\x07pytorch\x1a\x052.0.0", &["ONNX"]),
        (b"just some words\nand more of them\n", &["text file"]),
        (b"version https://git-lfs.github.com/spec/v1\noid", &["git lfs pull"]),
    ] {
        assert_says(&error(bytes.to_vec()), words);
    }
}

#[test]
fn files_and_folders_that_are_not_there() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("no_model");
    std::fs::create_dir_all(&folder).unwrap();
    let open = |path: &std::path::Path| Model::open(path).unwrap_err().to_string();
    assert_says(&open(&folder), &["no_model", "model.safetensors"]);
    assert_says(&open(&folder.join("absent.safetensors")), &["absent.safetensors", "does not exist"]);
    std::fs::write(folder.join("pytorch_model.bin"), b"PK\x03\x04").unwrap();
    assert_says(&open(&folder), &["pytorch_model.bin", "mobilenet convert"]);
    std::fs::remove_file(folder.join("pytorch_model.bin")).unwrap();
    std::fs::write(folder.join("words.safetensors"), "words").unwrap();
    assert_says(&open(&folder.join("words.safetensors")), &["words.safetensors", "text file"]);
    std::fs::remove_file(folder.join("words.safetensors")).unwrap();
}

/// Every tensor of every scheme, taken away in turn, is named.
#[test]
fn missing_tensors_are_named() {
    for case in [
        "torchvision_v2_035",
        "timm_mobilenetv2_050_folded",
        "transformers_v1_025_config",
        "keras_v2_035",
        "tf_slim_v1_050_folded",
        "gluoncv_v1_050",
    ] {
        let whole = of(case);
        for (i, name) in whole.tensors.keys().enumerate() {
            // A few are enough for the parts in the middle.
            if name.contains("num_batches") || name == "global_step" || (i > 40 && i % 7 != 0) {
                continue;
            }
            let error = error(whole.clone().without(name).bytes());
            let bare = name.trim_end_matches(":0");
            assert!(error.contains(bare) && error.contains("missing"), "{case} without {name}: {error}");
        }
    }
}

#[test]
fn misspelt_tensors_are_suggested() {
    let odd = of("torchvision_v2_035").renamed(|name| name.replace("features.5.conv.2.weight", "features.5.conv.2.wieght"));
    assert_says(&error(odd.bytes()), &["`features.5.conv.2.weight`", "missing", "block5.project.filters", "`features.5.conv.2.wieght`"]);
    // A whole block that is gone is missing, not skipped.
    let mut gone = of("torchvision_v2_035");
    gone.tensors.retain(|name, _| !name.starts_with("features.9."));
    assert_says(&error(gone.bytes()), &["`features.9.", "missing"]);
}

/// Every tensor of a wrong shape is named with what was expected and found.
#[test]
fn wrong_shapes_are_named() {
    for case in ["torchvision_v2_035", "keras_v1_050_odd", "tf_slim_v2_035"] {
        let whole = of(case);
        for (name, entry) in whole.tensors.iter().filter(|(_, e)| !e.shape.is_empty()) {
            let mut shape = entry.shape.clone();
            let largest = shape.iter().enumerate().max_by_key(|(_, n)| **n).unwrap().0;
            shape[largest] += 1;
            let error = error(whole.clone().with(name, Entry::filled(&shape, 0.5)).bytes());
            assert_says(&error, &["shape", "expected", &format!("{shape:?}")]);
            assert!(error.contains(name.as_str()), "{case}: {name}: {error}");
        }
    }
    let flat = of("torchvision_v2_035").with("features.3.conv.2.weight", Entry::filled(&[8 * 48], 0.0));
    assert_says(&error(flat.bytes()), &["features.3.conv.2.weight", "[384]", "[8, 48, 1, 1]", "OIHW"]);
    let large = of("torchvision_v2_035").with("features.3.conv.1.0.weight", Entry::filled(&[48, 1, 5, 5], 0.0));
    assert_says(&error(large.bytes()), &["features.3.conv.1.0.weight", "[48, 1, 5, 5]", "[48, 1, 3, 3]"]);
}

#[test]
fn values_that_no_network_has_are_named() {
    let whole = of("torchvision_v2_035");
    for (name, value) in
        [("features.7.conv.1.0.weight", f32::NAN), ("classifier.1.bias", f32::INFINITY), ("features.0.1.running_mean", f32::NEG_INFINITY)]
    {
        let mut entry = whole.tensors[name].clone();
        entry.bytes[4..8].copy_from_slice(&value.to_le_bytes());
        assert_says(&error(whole.clone().with(name, entry).bytes()), &[name, "value 1 of", "finite"]);
    }
    let mut half = of("torchvision_v2_050_f16");
    let stem = half.tensors.keys().find(|name| name.ends_with("features.0.0.weight")).unwrap().clone();
    half.tensors.get_mut(&stem).unwrap().bytes[..2].copy_from_slice(&half::f16::NAN.to_le_bytes());
    assert_says(&error(half.bytes()), &["features.0.0.weight", "NaN"]);
    let negative = whole.with("features.0.1.running_var", Entry::filled(&[16], -1.0));
    assert_says(&error(negative.bytes()), &["features.0.1.running_var", "variance"]);
}

#[test]
fn integers_are_no_weights() {
    let integers = |dtype: Dtype, size: usize| Entry { dtype, shape: vec![16, 3, 3, 3], bytes: vec![0; 16 * 27 * size] };
    let whole = of("torchvision_v2_035");
    let quantised = whole.clone().with("features.0.0.weight", integers(Dtype::I8, 1));
    assert_says(&error(quantised.bytes()), &["features.0.0.weight", "I8", "quantised"]);
    let counts = whole.with("features.0.0.weight", integers(Dtype::I64, 8));
    assert_says(&error(counts.bytes()), &["features.0.0.weight", "I64", "F32"]);
}

#[test]
fn unknown_schemes_are_described() {
    let mut other = Checkpoint::default();
    for i in 0..9 {
        other = other.with(&format!("layer{i}.kernel"), Entry::filled(&[4, 4], 0.0));
    }
    assert_says(&error(other.bytes()), &["unknown naming scheme", "`layer0.kernel`", "torchvision", "gluoncv", "--map"]);
    let resnet = Checkpoint::default()
        .with("conv1.weight", Entry::filled(&[64, 3, 7, 7], 0.0))
        .with("layer1.0.conv1.weight", Entry::filled(&[64, 64, 3, 3], 0.0));
    assert_says(&error(resnet.bytes()), &["unknown naming scheme", "`conv1.weight`"]);
}

#[test]
fn two_schemes_at_once() {
    for (a, b) in [("torchvision_v2_035", "keras_v2_035"), ("keras_v1_025", "keras_v2_035"), ("timm_mobilenetv2_035", "tf_slim_v1_060")] {
        let mut both = of(a);
        both.tensors.extend(of(b).tensors);
        assert_says(&error(both.bytes()), &["two networks at once", &rule::case(a).scheme, &rule::case(b).scheme]);
    }
}

#[test]
fn relatives_are_refused() {
    let squeezed = of("timm_mobilenetv2_035").with("blocks.1.0.se.conv_reduce.weight", Entry::filled(&[4, 48, 1, 1], 0.0));
    assert_says(&error(squeezed.bytes()), &["another network", "blocks.1.0.se.conv_reduce.weight"]);
}

/// Names that would make comparing them slow.
#[test]
fn absurd_names_cost_no_time() {
    let started = std::time::Instant::now();
    let long = "a.".repeat(200_000);
    let mut many = of("caffe_v1_025_folded").without("conv3_1/sep.weight").with(&long, Entry::filled(&[1], 0.0));
    for i in 0..3000 {
        many = many.with(&format!("{i}.{}", "x".repeat(1000)), Entry::filled(&[1], 0.0));
    }
    assert_says(&error(many.bytes()), &["conv3_1/sep.weight"]);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

/// A small whole file of a scheme.
fn small() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| rule::case("caffe_v1_025_folded").checkpoint())
}

fn header_end() -> usize {
    8 + u64::from_le_bytes(small()[..8].try_into().unwrap()) as usize
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn truncations_are_errors(cut in 0..small().len()) {
        prop_assert!(Model::from_bytes(small()[..cut].to_vec(), &LoadOptions::default()).is_err());
    }

    /// Flipped bytes give an error or a network, never a panic.
    #[test]
    fn flips_never_panic(flips in prop::collection::vec((0..header_end() + 64, any::<u8>()), 1..6)) {
        let mut bytes = small().to_vec();
        for (at, value) in flips {
            bytes[at] = value;
        }
        if let Ok(model) = Model::from_bytes(bytes, &LoadOptions::default()) {
            let graph = model.graph(None).unwrap();
            for param in graph.nodes().iter().flat_map(|n| n.op.params()) {
                let _ = model.weights().evaluate(param);
            }
        }
    }

    /// A header whose numbers are anything.
    #[test]
    fn headers_of_any_numbers(shape in prop::collection::vec(any::<u64>(), 0..5), from in any::<u64>(), to in any::<u64>(), length in any::<u64>()) {
        let header = format!(r#"{{"conv1.weight":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{from},{to}]}}}}"#);
        prop_assert!(Model::from_bytes(with_header(&header, None, 64), &LoadOptions::default()).is_err());
        prop_assert!(Model::from_bytes(with_header(&header, Some(length), 64), &LoadOptions::default()).is_err());
    }
}
