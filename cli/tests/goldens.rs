//! The tool held against what the frameworks computed: `classify` from photo files, `run` from exact tensors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tool;

use safetensors::SafeTensors;
use serde_json::Value;
use std::path::Path;
use tool::{Folder, assets, mobilenet};

const CLASSIFIERS: [&str; 5] =
    ["mobilenet_v2_1.0_224", "mobilenet_v1_1.0_224", "mobilenet_v2_1.0_224_torch", "mobilenet_v1_0.25_128", "mobilenet_v1_0.5_160"];

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_string()
}

/// Top-1 of every photo, and its probability within 0.01.
fn photos_agree(assets: &Path, model: &str, more: &[&str]) {
    let folder = assets.join("models").join(model);
    let golden: Value = serde_json::from_slice(&std::fs::read(folder.join("golden.json")).unwrap()).unwrap();
    let images = golden["images"].as_array().unwrap();
    let mut arguments = vec!["classify".to_string(), "--json".into(), "--model".into(), text(&folder)];
    arguments.extend(images.iter().map(|i| text(&assets.join("photos").join(i["file"].as_str().unwrap()))));
    arguments.extend(more.iter().map(|a| a.to_string()));
    let ran = mobilenet(arguments);
    assert_eq!(ran.code, 0, "{model}: {}", ran.err);
    assert_eq!(ran.out.lines().count(), images.len());
    for (image, line) in images.iter().zip(ran.out.lines()) {
        let line: Value = serde_json::from_str(line).unwrap();
        let (first, second) = (&image["top5"][0], &image["top5"][1]);
        let ours = &line["predictions"][0];
        let probability = |p: &Value, key: &str| p[key].as_f64().unwrap();
        let margin = probability(first, "prob") - probability(second, "prob");
        if margin > 0.01 {
            assert_eq!(ours["index"], first["id"], "{model} {}: {ours} {first}", image["file"]);
            assert!(ours["wnid"].as_str().unwrap().starts_with('n'), "{ours}");
            let difference = probability(ours, "probability") - probability(first, "prob");
            assert!(difference.abs() <= 0.01, "{model} {}: {ours} {first}", image["file"]);
        }
    }
}

#[test]
fn photos_are_seen_as_the_frameworks_see_them() {
    let Some(assets) = assets() else { return };
    CLASSIFIERS.iter().for_each(|model| photos_agree(&assets, model, &[]));
    photos_agree(&assets, "mobilenet_v2_1.0_224_torch", &["--batch", "5"]);
}

#[test]
fn photos_are_seen_so_on_the_cpu() {
    let Some(assets) = assets() else { return };
    photos_agree(&assets, "mobilenet_v1_0.25_128", &["--cpu"]);
}

fn values(file: &SafeTensors<'_>, name: &str) -> Option<(Vec<usize>, Vec<f64>)> {
    let view = file.tensor(name).ok()?;
    let values = view.data().chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect();
    Some((view.shape().to_vec(), values))
}

/// ‖ours − theirs‖ / ‖theirs‖ of every output that the golden has for an input that it has.
fn tensors_agree(assets: &Path, model: &str, more: &[&str]) {
    let folder = assets.join("models").join(model);
    let own = Folder::new();
    let (golden, output) = (folder.join("golden.safetensors"), own.join("out.safetensors"));
    let named = if model.ends_with("backbone") { "embedding,features" } else { "logits,features" };
    let fixed =
        ["run", "--outputs", named, "--model", &text(&folder), "--input", &text(&golden), "--output", &text(&output)].map(String::from);
    let ran = mobilenet(fixed.into_iter().chain(more.iter().map(|a| a.to_string())));
    assert_eq!(ran.code, 0, "{model}: {}", ran.err);
    let (golden, output) = (std::fs::read(golden).unwrap(), std::fs::read(output).unwrap());
    let (golden, output) = (SafeTensors::deserialize(&golden).unwrap(), SafeTensors::deserialize(&output).unwrap());
    let mut compared = 0;
    for name in output.names() {
        let (kind, input) = name.split_once(':').unwrap();
        let number = input.strip_prefix("input_").unwrap();
        let theirs = if kind == "embedding" { "pooled" } else { kind };
        let Some((shape, expected)) = values(&golden, &format!("{theirs}_{number}")) else { continue };
        let (found_shape, found) = values(&output, name).unwrap();
        assert_eq!(found_shape, shape, "{model} {name}");
        let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
        let error = norm(&mut found.iter().zip(&expected).map(|(a, b)| a - b)) / norm(&mut expected.iter().copied());
        assert!(error <= 1e-4, "{model} {name}: {error:e}");
        compared += 1;
    }
    assert!(compared >= 4, "{model}: only {compared} tensors were compared");
}

#[test]
fn tensors_are_the_frameworks() {
    let Some(assets) = assets() else { return };
    CLASSIFIERS.iter().chain(&["mobilenet_v2_1.0_224_backbone"]).for_each(|model| tensors_agree(&assets, model, &[]));
    tensors_agree(&assets, "mobilenet_v1_0.25_128", &["--cpu"]);
}

/// Writes tensors by name, shape and values.
fn write(path: &Path, tensors: &[(&str, Vec<usize>, Vec<f32>)]) {
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|t| t.2.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (*name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn ramp(length: usize) -> Vec<f32> {
    (0..length).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0).collect()
}

#[test]
fn outputs_have_the_inputs_batch_and_layout() {
    let folder = Folder::new();
    let (input, output) = (folder.join("in.safetensors"), folder.join("out.safetensors"));
    let single = ramp(3 * 40 * 32);
    let pair: Vec<f32> = single.iter().chain(&single).copied().collect();
    write(&input, &[("one", vec![3, 40, 32], single), ("two", vec![2, 3, 40, 32], pair), ("other", vec![7], ramp(7))]);
    let shapes = |layout: &str| {
        let ran = mobilenet([
            "run",
            "--input",
            &text(&input),
            "--output",
            &text(&output),
            "--layout",
            layout,
            "--outputs",
            "logits,embedding,block1.depthwise",
        ]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(ran.err.contains("`other`"), "what is not run is named: {}", ran.err);
        let bytes = std::fs::read(&output).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let get = |name: &str| values(&file, name).unwrap_or_else(|| panic!("no {name} in {:?}", file.names()));
        assert_eq!((get("logits:one").0, get("logits:two").0, get("embedding:two").0), (vec![10], vec![2, 10], vec![2, 1280]));
        let (one, two) = (get("logits:one").1, get("logits:two").1);
        for (a, b) in one.iter().chain(&one).zip(&two) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
        (get("block1.depthwise:one"), get("block1.depthwise:two").0)
    };
    let (nchw, nhwc) = (shapes("nchw"), shapes("nhwc"));
    let [c, h, w] = *nchw.0.0 else { panic!("{:?}", nchw.0.0) };
    assert_eq!((nhwc.0.0.clone(), nchw.1, nhwc.1), (vec![h, w, c], vec![2, c, h, w], vec![2, h, w, c]));
    for (channel, y, x) in [(0, 0, 0), (1, 2, 3), (c - 1, h - 1, w - 1)] {
        assert_eq!(nchw.0.1[(channel * h + y) * w + x], nhwc.0.1[(y * w + x) * c + channel]);
    }
}

#[test]
fn npy_is_named_by_its_stem() {
    let folder = Folder::new();
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 32, 32), }";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(ramp(3 * 32 * 32).iter().flat_map(|v| v.to_le_bytes()));
    let ran = mobilenet(["run", "--json", "--input", &text(&folder.write("cat.npy", &bytes))]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((report["tensors"][0]["name"].as_str(), &report["tensors"][0]["shape"]), (Some("logits:cat"), &serde_json::json!([1, 10])));
}

#[test]
fn inputs_without_pictures_are_an_error() {
    let folder = Folder::new();
    let input = folder.join("in.safetensors");
    write(&input, &[("weights", vec![2, 2], ramp(4)), ("grey", vec![1, 8, 8], ramp(64))]);
    let ran = mobilenet(["run", "--input", &text(&input)]);
    assert!(ran.code == 2 && ran.err.contains("`grey`") && ran.err.contains("[3, H, W]"), "{}", ran.err);
    let unknown = folder.write("x.bin", b"nothing of the kind");
    assert_eq!(mobilenet(["run", "--input", &text(&unknown)]).code, 2);
    let ran = mobilenet(["run", "--input", &text(&input), "--outputs", "no such node"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
}

#[test]
fn inspect_knows_the_checkpoints() {
    let Some(assets) = assets() else { return };
    let report = |model: &str| -> Value {
        let ran = mobilenet(["inspect", "--json", &text(&assets.join("models").join(model))]);
        assert_eq!(ran.code, 0, "{model}: {}", ran.err);
        serde_json::from_str(&ran.out).unwrap()
    };
    let v1 = report("mobilenet_v1_1.0_224");
    assert_eq!((v1["scheme"].as_str(), v1["classes"].as_u64(), v1["padding"].as_str()), (Some("tf_slim"), Some(1001), Some("same")));
    assert_eq!((&v1["background_class"], &v1["folded"]), (&Value::Bool(true), &Value::Bool(true)));
    let backbone = report("mobilenet_v2_1.0_224_backbone");
    assert_eq!(
        (backbone["scheme"].as_str(), &backbone["classes"], backbone["bn_eps"].as_f64()),
        (Some("gluoncv"), &Value::Null, Some(1e-5))
    );
    let small = report("mobilenet_v1_0.25_128");
    assert_eq!((small["width"].as_f64(), &small["input_size"]), (Some(0.25), &serde_json::json!([128, 128])));
    let people = mobilenet(["inspect", &text(&assets.join("models/mobilenet_v2_1.0_224"))]).out;
    for part in ["keras", "Why", "same", "1000", "3,504,872"] {
        assert!(people.contains(part), "no `{part}` in:\n{people}");
    }
    let ran = mobilenet(["classify", "--model", &text(&assets.join("models/mobilenet_v2_1.0_224_backbone")), tool::CAT]);
    assert!(ran.code == 2 && ran.err.contains("no classifier"), "{}", ran.err);
}
