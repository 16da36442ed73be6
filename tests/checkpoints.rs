//! Checkpoints through the public API: what is recognised of each scheme, and what is said of bad files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/rule.rs"]
mod rule;

use mobilenet_wgpu::graph::Shape;
use mobilenet_wgpu::model::{LoadOptions, Model, PaddingRule, Version};
use mobilenet_wgpu::{Tensor, reference};
use std::path::PathBuf;

/// The folder of real checkpoints; `None` where the tests run without it.
fn assets() -> Option<PathBuf> {
    let folder = std::env::var_os("MOBILENET_TEST_ASSETS").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("MOBILENET_TEST_ASSETS is not set: real checkpoints are not tried");
    }
    folder
}

fn options(case: &rule::Case) -> LoadOptions {
    LoadOptions { config_json: case.config_json(), ..LoadOptions::default() }
}

#[test]
fn every_golden_case_is_recognised() {
    for case in rule::cases() {
        let model = Model::from_bytes(case.checkpoint(), &options(&case)).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let (config, found) = (model.config().unwrap(), model.recognition());
        let name = &case.name;
        assert_eq!(found.scheme, case.scheme, "{name}");
        assert_eq!(found.architecture, case.architecture, "{name}");
        assert_eq!(found.classes.map(|n| n as usize), case.classes, "{name}");
        assert_eq!(found.background_class, case.background, "{name}");
        assert_eq!(found.folded, case.folded, "{name}");
        if !case.folded {
            assert_eq!(found.bn_eps, Some(case.bn_eps as f32), "{name}");
        }
        assert_eq!(found.activation.as_deref(), Some(case.activation.as_str()), "{name}");
        if let Some(strides) = &case.strides {
            assert_eq!(&config.strides(), strides, "{name}");
        }
        let same = !matches!(config.padding, PaddingRule::Symmetric);
        assert_eq!(same, case.padding == "same", "{name}");
        assert!(found.notes.is_empty(), "{name}: {:?}", found.notes);
        tensors_are_the_rules(&case, &model);
    }
}

/// Every kernel, read back in the canonical layout, has the values that the rule gave it.
fn tensors_are_the_rules(case: &rule::Case, model: &Model) {
    let graph = model.graph(Some([case.height as u32, case.width_px as u32])).unwrap();
    for param in graph.nodes().iter().flat_map(|n| n.op.params()) {
        for name in param.tensors() {
            let (values, shape) = (model.weights().get(name).unwrap(), model.weights().shape(name).unwrap());
            assert_eq!(values.len(), shape.iter().product::<usize>(), "{}: {name}", case.name);
        }
    }
    let units = case.units.iter().map(|u| u.outputs * u.inputs * u.kernel_height * u.kernel_width).sum::<usize>() as u64;
    assert!(model.weights().parameters() >= units, "{}", case.name);
}

/// Recognised rightly means computed rightly: the outputs are those of the framework.
#[test]
fn golden_cases_give_their_frameworks_outputs() {
    for case in rule::cases() {
        let model = Model::from_bytes(case.checkpoint(), &options(&case)).unwrap();
        let graph = model.graph(Some([case.height as u32, case.width_px as u32])).unwrap();
        let names: &[&str] = if case.classes.is_some() { &["logits", "pool"] } else { &["pool"] };
        let graph = graph.with_outputs(names).unwrap();
        let shape = Shape::new(case.height as u32, case.width_px as u32, 3);
        let input = Tensor::from_nhwc(case.batch as u32, shape, case.input_nhwc()).unwrap();
        let outputs = reference::run(&graph, &|param| model.weights().evaluate(param), &input).unwrap();
        let expected = case.expected();
        for (name, output) in names.iter().zip(outputs) {
            let key = if *name == "pool" { "pooled" } else { name };
            let error = rule::relative_error(&output.data, &expected[key]);
            // Variances of 0 scale rounding errors up by 31 a layer; the oracle computed in f64.
            let tolerance = if case.name == "keras_v1_025" { 2e-3 } else { 2e-5 };
            assert!(error < tolerance, "{}: {name} differs by {error:.1e}", case.name);
        }
    }
}

#[test]
fn real_checkpoints_are_recognised() {
    let Some(assets) = assets() else { return };
    let expected = [
        ("mobilenet_v1_0.25_128", "keras", Version::V1, 0.25, Some(1000), false, PaddingRule::Same, Some(1e-3), 128),
        ("mobilenet_v1_0.5_160", "tf_slim", Version::V1, 0.5, Some(1001), true, PaddingRule::Same, None, 160),
        ("mobilenet_v1_1.0_224", "tf_slim", Version::V1, 1.0, Some(1001), true, PaddingRule::Same, None, 224),
        ("mobilenet_v2_1.0_224", "keras", Version::V2, 1.0, Some(1000), false, PaddingRule::Same, Some(1e-3), 224),
        ("mobilenet_v2_1.0_224_backbone", "gluoncv", Version::V2, 1.0, None, false, PaddingRule::Symmetric, Some(1e-5), 224),
        ("mobilenet_v2_1.0_224_torch", "torchvision", Version::V2, 1.0, Some(1000), true, PaddingRule::Symmetric, None, 224),
    ];
    for (folder, scheme, version, width, classes, folded, padding, epsilon, size) in expected {
        let folded = folded || epsilon.is_none();
        let model = Model::open(assets.join("models").join(folder)).unwrap_or_else(|e| panic!("{folder}: {e}"));
        let (config, found) = (model.config().unwrap(), model.recognition());
        assert_eq!((found.scheme.as_str(), config.version, found.width), (scheme, version, Some(width)), "{folder}");
        assert_eq!((config.classes, found.folded, config.padding, config.batch_norm), (classes, folded, padding, epsilon), "{folder}");
        assert_eq!(config.input, [size; 2], "{folder}");
        assert_eq!(found.unused, Vec::<String>::new(), "{folder}");
        assert!(found.notes.is_empty(), "{folder}: {:?}", found.notes);
    }
}
