//! The real checkpoints against their golden outputs, on the reference and on the GPU.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/gpu.rs"]
mod gpu;

use mobilenet_wgpu::engine::{Input, SessionOptions};
use mobilenet_wgpu::graph::{Param, Shape, passes};
use mobilenet_wgpu::kernel::{OpKind, Precision};
use mobilenet_wgpu::model::{Model, Version};
use mobilenet_wgpu::picture::Picture;
use mobilenet_wgpu::plan::Preference;
use mobilenet_wgpu::{Tensor, reference};
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};

const FOLDERS: [&str; 6] = [
    "mobilenet_v1_0.25_128",
    "mobilenet_v1_0.5_160",
    "mobilenet_v1_1.0_224",
    "mobilenet_v2_1.0_224",
    "mobilenet_v2_1.0_224_backbone",
    "mobilenet_v2_1.0_224_torch",
];

/// One golden input and what is expected of it: `(output's name, values)`; maps are `[C, H, W]`.
struct Golden {
    input: Tensor,
    expected: Vec<(String, Vec<f32>)>,
}

fn goldens(folder: &Path) -> Vec<Golden> {
    let bytes = std::fs::read(folder.join("golden.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |name: &str| -> Option<(Vec<usize>, Vec<f32>)> {
        let t = file.tensor(name).ok()?;
        Some((t.shape().to_vec(), t.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()))
    };
    let mut found = Vec::new();
    let mut names: Vec<_> = file.names().into_iter().filter(|n| n.starts_with("input_")).collect();
    names.sort_unstable();
    for name in names {
        let (shape, data) = values(name).unwrap();
        let [h, w] = [shape[shape.len() - 2] as u32, shape[shape.len() - 1] as u32];
        let index = &name["input_".len()..];
        let named = [("logits", "logits"), ("features", "features"), ("pooled", "embedding")];
        let expected = named.iter().filter_map(|(file, node)| Some((node.to_string(), values(&format!("{file}_{index}"))?.1))).collect();
        found.push(Golden { input: Tensor::from_nchw(1, Shape::new(h, w, 3), &data).unwrap(), expected });
    }
    assert!(!found.is_empty(), "{} holds no inputs", folder.display());
    found
}

fn relative_error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(expected).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    difference / norm(&mut expected.iter().map(|v| f64::from(*v)))
}

fn top(logits: &[f32], n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
    order.truncate(n);
    order
}

fn folders() -> Vec<PathBuf> {
    gpu::assets().map(|a| FOLDERS.iter().map(|f| a.join("models").join(f)).collect()).unwrap_or_default()
}

fn check(folder: &Path, golden: &Golden, found: &[Tensor], tolerance: f64, how: &str) {
    for ((name, expected), tensor) in golden.expected.iter().zip(found) {
        let values = tensor.to_nchw();
        let error = relative_error(&values, expected);
        assert!(error <= tolerance, "{} {name} {how}: relative error {error:e}", folder.display());
        if name == "logits" && tolerance < 1e-3 {
            assert_eq!(top(&values, 5), top(expected, 5), "{} {how}", folder.display());
        } else if name == "logits" {
            let best = top(expected, 2);
            if expected[best[0]] - expected[best[1]] > 0.1 {
                assert_eq!(top(&values, 1)[0], best[0], "{} {how}", folder.display());
            }
        }
    }
}

#[test]
fn on_the_reference() {
    for folder in folders() {
        let model = Model::open(&folder).unwrap();
        let params = |param: &Param| param.evaluate(&|name| model.weights().get(name));
        for golden in goldens(&folder) {
            let names: Vec<_> = golden.expected.iter().map(|(n, _)| n.as_str()).collect();
            let graph = passes::run(&model.graph(None).unwrap().with_outputs(&names).unwrap(), &[] as &[&str]);
            check(&folder, &golden, &reference::run(&graph, &params, &golden.input).unwrap(), 1e-4, "on the reference");
        }
    }
}

fn on_the_gpu(precision: Precision, tolerance: f64) {
    let Some(engine) = gpu::engine() else { return };
    if precision.needs_f16() && !engine.profile().f16 {
        println!("skipped: no f16 on this adapter");
        return;
    }
    for folder in folders() {
        let model = Model::open(&folder).unwrap();
        for golden in goldens(&folder) {
            let outputs = golden.expected.iter().map(|(n, _)| n.clone()).collect();
            let options = SessionOptions { outputs, precision, ..Default::default() };
            let mut session = engine.session(&model, &options).unwrap();
            let found: Vec<_> = session.run(Input::Tensor(&golden.input)).unwrap().tensors.into_iter().map(|(_, t)| t).collect();
            check(&folder, &golden, &found, tolerance, precision.name());
        }
    }
}

#[test]
fn on_the_gpu_in_f32() {
    on_the_gpu(Precision::F32, 1e-4);
}

#[test]
fn on_the_gpu_in_f16_storage() {
    on_the_gpu(Precision::F16Storage, 2e-2);
}

#[test]
fn on_the_gpu_in_f16() {
    on_the_gpu(Precision::F16, 2e-2);
}

/// The plan with every block in one dispatch, by the first and by the last kernels of the table that apply, and the plan of single
/// ops, with no pass at all: each holds to the goldens, and they agree.
#[test]
fn fused_and_unfused_plans_agree() {
    let Some(engine) = gpu::engine() else { return };
    let apart: Vec<_> = passes::ALL.iter().map(|pass| pass.name.to_string()).collect();
    for folder in folders() {
        let model = Model::open(&folder).unwrap();
        let block = match model.config().unwrap().version {
            Version::V1 => OpKind::Separable,
            Version::V2 => OpKind::InvertedResidual,
        };
        let kernels = engine.variants().iter().filter(|v| v.op == block);
        let first: Vec<_> = kernels.map(|v| Preference { op: v.op, variant: v.name.to_string() }).collect();
        let last: Vec<_> = first.iter().rev().cloned().collect();
        let golden = goldens(&folder).swap_remove(0);
        let outputs: Vec<_> = golden.expected.iter().map(|(n, _)| n.clone()).collect();
        let run = |how: &str, prefer: &[Preference], without_passes: &[String]| {
            let options = SessionOptions {
                outputs: outputs.clone(),
                prefer: prefer.to_vec(),
                without_passes: without_passes.to_vec(),
                ..Default::default()
            };
            let mut session = engine.session(&model, &options).unwrap();
            let found: Vec<_> = session.run(Input::Tensor(&golden.input)).unwrap().tensors.into_iter().map(|(_, t)| t).collect();
            check(&folder, &golden, &found, 1e-4, how);
            let fused = session.plan().steps.iter().filter(|s| s.case.op == block).count();
            (found, fused, session.plan().steps.len())
        };
        let (unfused, none, steps) = run("unfused", &[], &apart);
        for (how, prefer) in [("fused, first kernels", &first), ("fused, last kernels", &last)] {
            let (fused, some, fewer) = run(how, prefer, &[]);
            assert!(none == 0 && some >= 13 && fewer < steps, "{} {how}: {some} of {fewer} steps, {none} of {steps}", folder.display());
            for (a, b) in fused.iter().zip(&unfused) {
                let error = relative_error(&a.to_nchw(), &b.to_nchw());
                assert!(error <= 1e-4, "{} {how}: {error:e} from the unfused plan", folder.display());
            }
        }
    }
}

/// From the photo files themselves: decoded here, resized, cropped and normalised on the device.
#[test]
fn photos_give_the_same_class_with_the_same_probability() {
    let Some(engine) = gpu::engine() else { return };
    let Some(assets) = gpu::assets() else { return };
    for folder in folders() {
        let text = std::fs::read_to_string(folder.join("golden.json")).unwrap();
        let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
        let model = Model::open(&folder).unwrap();
        let options = SessionOptions { outputs: vec!["probabilities".into()], batch: 4, ..Default::default() };
        if model.config().unwrap().classes.is_none() {
            continue;
        }
        let mut session = engine.session(&model, &options).unwrap();
        let images = golden["images"].as_array().unwrap();
        let open = |image: &serde_json::Value| Picture::open(assets.join("photos").join(image["file"].as_str().unwrap())).unwrap();
        let pictures: Vec<_> = images.iter().map(open).collect();
        let found = session.run(Input::Pictures(&pictures, model.preprocessing())).unwrap();
        let probabilities = found.get("probabilities").unwrap();
        for (n, image) in images.iter().enumerate() {
            let best = |i: usize| (image["top5"][i]["id"].as_u64().unwrap() as usize, image["top5"][i]["prob"].as_f64().unwrap());
            let ((id, expected), (_, second)) = (best(0), best(1));
            let probability = f64::from(probabilities.picture(n)[id]);
            assert!((probability - expected).abs() <= 0.01, "{} {image}: {probability}", folder.display());
            if expected - second > 0.01 {
                assert_eq!(top(probabilities.picture(n), 1)[0], id, "{} {image}", folder.display());
            }
        }
    }
}
