//! Checkpoints made by rule, against what the frameworks computed for them (`tests/goldens/README.md`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/gpu.rs"]
mod gpu;
#[path = "common/rule.rs"]
mod rule;

use mobilenet_wgpu::engine::{Input, SessionOptions};
use mobilenet_wgpu::graph::{Activation, Graph, Param, Shape, passes};
use mobilenet_wgpu::model::{BlockConfig, LoadOptions, MobileNetConfig, Model, PaddingRule};
use mobilenet_wgpu::{Tensor, reference};
use safetensors::SafeTensors;
use std::collections::BTreeMap;

#[test]
fn the_rule_gives_the_weights_that_the_oracles_had() {
    let cases = rule::cases();
    assert!(cases.len() >= 40, "{} cases", cases.len());
    for case in &cases {
        let tensors = case.tensors();
        for (name, index, value) in &case.probes {
            let found = tensors.get(name).unwrap_or_else(|| panic!("{}: no tensor {name}", case.name)).values()[*index];
            assert_eq!(found.to_bits(), (*value as f32).to_bits(), "{}: {name}[{index}] is {found}, not {value}", case.name);
        }
        assert_eq!(rule::sample(&case.input_nchw(), 64), case.expected()["input"], "{}: input", case.name);
    }
}

#[test]
fn a_checkpoint_made_by_rule_is_a_safetensors_file() {
    let case = rule::case("keras_v2_100");
    let bytes = case.checkpoint();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.len(), 262);
    assert_eq!(file.tensor("mobilenetv2_1.00_224/block_10_depthwise/depthwise_kernel:0").unwrap().shape(), [3, 3, 384, 1]);
    assert_eq!(file.tensor("mobilenetv2_1.00_224/Logits/kernel:0").unwrap().shape(), [1280, 1000]);
    let (nchw, nhwc) = (case.input_nchw(), case.input_nhwc());
    assert_eq!(nhwc[(5 * 96 + 7) * 3 + 2], nchw[2 * 96 * 96 + 5 * 96 + 7]);
}

/// The configuration that a loader should find, out of the case's own layers.
fn configuration(case: &rule::Case) -> MobileNetConfig {
    let outputs = |name: &str| case.units.iter().find(|u| u.source == name).map(|u| u.outputs as u32);
    let v1 = case.architecture == "mobilenet_v1";
    let ideal = if v1 { MobileNetConfig::v1(case.width as f32) } else { MobileNetConfig::v2(case.width as f32) };
    let block = |i: usize| {
        let channels = outputs(&format!("block{i}.{}", if v1 { "pointwise" } else { "project" }))?;
        Some(BlockConfig { expansion: outputs(&format!("block{i}.expand")), channels, stride: 1, residual: false })
    };
    let mut config = MobileNetConfig {
        input: [case.height as u32, case.width_px as u32],
        stem_channels: outputs("stem").unwrap(),
        blocks: (1..).map_while(block).collect(),
        last: outputs("last"),
        classes: outputs("logits"),
        padding: match case.padding.as_str() {
            "same" if v1 && case.scheme == "keras" => PaddingRule::SameKeras,
            "same" => PaddingRule::Same,
            _ => PaddingRule::Symmetric,
        },
        activation: if case.activation == "relu" { Activation::Relu } else { Activation::Relu6 },
        batch_norm: (!case.folded).then_some(case.bn_eps as f32),
        conv_bias: case.folded,
        ..ideal.clone()
    };
    // timm's deeper networks repeat stages more often
    match case.name.as_str() {
        "timm_mobilenetv2_110d" => config.stages = vec![1, 3, 4, 5, 4, 4, 1],
        "timm_mobilenetv2_120d" => config.stages = vec![1, 3, 5, 6, 5, 5, 1],
        _ => {}
    }
    config.with_strides(&case.strides.clone().unwrap_or_else(|| ideal.strides())).unwrap()
}

fn shape(graph: &Graph, names: &[&str]) -> Shape {
    graph.node(names.iter().find_map(|name| graph.find(name)).unwrap()).shape
}

#[test]
fn graphs_have_the_shapes_that_the_frameworks_have() {
    for case in &rule::cases() {
        let graph = configuration(case).graph().unwrap();
        let nodes =
            [("stem", vec!["stem"]), ("block7", vec!["block7.add", "block7.project", "block7.pointwise"]), ("features", vec!["features"])];
        for (output, names) in nodes {
            let expected = &case.shapes[output];
            let expected = Shape::new(expected[2] as u32, expected[3] as u32, expected[1] as u32);
            assert_eq!(shape(&graph, &names), expected, "{}: {output}", case.name);
        }
    }
}

#[test]
fn width_multipliers_propose_the_channels_that_the_frameworks_build() {
    let own_rounding = ["mobilenetv1_100h", "mobilenetv1_125", "110d", "120d", "coarse", "gluoncv_v2", "caffe_v2"];
    let mut compared = 0;
    for case in rule::cases().iter().filter(|case| !own_rounding.iter().any(|part| case.name.contains(part))) {
        let (found, width) = (configuration(case), case.width as f32);
        let ideal = if case.architecture == "mobilenet_v1" { MobileNetConfig::v1(width) } else { MobileNetConfig::v2(width) };
        assert_eq!((found.stem_channels, found.last), (ideal.stem_channels, ideal.last), "{}", case.name);
        let channels = |config: &MobileNetConfig| config.blocks.iter().map(|b| (b.channels, b.expansion)).collect::<Vec<_>>();
        assert_eq!(channels(&found), channels(&ideal), "{}", case.name);
        compared += 1;
    }
    assert!(compared > 30, "{compared} cases");
}

/// The model of a case, as a user would load it.
fn model(case: &rule::Case) -> mobilenet_wgpu::Result<Model> {
    let options = LoadOptions { config_json: case.config_json(), ..Default::default() };
    Model::from_bytes(case.checkpoint(), &options)
}

/// Name of an output in the expected file, and the node that gives it.
fn outputs(case: &rule::Case, expected: &BTreeMap<String, Vec<f32>>) -> Vec<(String, String)> {
    let v1 = case.architecture == "mobilenet_v1";
    let block = |graph: &Graph| {
        let add = graph.find("block7.add").is_some();
        format!(
            "block7.{}",
            if v1 {
                "pointwise"
            } else if add {
                "add"
            } else {
                "project"
            }
        )
    };
    let graph = model(case).unwrap().graph(Some([case.height as u32, case.width_px as u32])).unwrap();
    let node = |name: &str| match name {
        "pooled" => "embedding".to_string(),
        "block7" => block(&graph),
        other => other.to_string(),
    };
    expected.keys().filter(|name| *name != "input").map(|name| (name.clone(), node(name))).collect()
}

fn input(case: &rule::Case) -> Tensor {
    let shape = Shape::new(case.height as u32, case.width_px as u32, 3);
    Tensor::from_nhwc(case.batch as u32, shape, case.input_nhwc()).unwrap()
}

/// Largest relative error that an f32 evaluation may have. A variance of 0 multiplies its channel by 1 / sqrt(epsilon) = 31, layer
/// after layer: there two f32 evaluations (batch norm folded, or not) differ from each other by 1e-3, and no more can be asked.
fn tolerance(case: &rule::Case) -> f64 {
    if case.zero_variance { 5e-3 } else { 1e-4 }
}

/// Every output against the oracle.
fn check(case: &rule::Case, names: &[(String, String)], expected: &BTreeMap<String, Vec<f32>>, found: &[Tensor], how: &str) {
    for ((name, _), tensor) in names.iter().zip(found) {
        let (want, nchw) = (&expected[name], tensor.to_nchw());
        let have = if want.len() == nchw.len() { nchw } else { rule::sample(&nchw, want.len()) };
        let error = rule::relative_error(&have, want);
        assert!(error <= tolerance(case), "{} {name} {how}: relative error {error:e}", case.name);
    }
}

#[test]
fn every_case_on_the_reference() {
    for case in rule::cases() {
        let expected = case.expected();
        let names = outputs(&case, &expected);
        let model = model(&case).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let nodes: Vec<_> = names.iter().map(|(_, node)| node).collect();
        let graph = model.graph(Some([case.height as u32, case.width_px as u32])).unwrap().with_outputs(&nodes).unwrap();
        let graph = passes::run(&graph, &[] as &[&str]);
        let params = |param: &Param| param.evaluate(&|name| model.weights().get(name));
        let found = reference::run(&graph, &params, &input(&case)).unwrap();
        check(&case, &names, &expected, &found, "on the reference");
    }
}

#[test]
fn every_case_on_the_gpu() {
    let Some(engine) = gpu::engine() else { return };
    for case in rule::cases() {
        let expected = case.expected();
        let names = outputs(&case, &expected);
        let options = SessionOptions {
            size: Some([case.height as u32, case.width_px as u32]),
            batch: case.batch as u32,
            outputs: names.iter().map(|(_, node)| node.clone()).collect(),
            ..Default::default()
        };
        let mut session = engine.session(&model(&case).unwrap(), &options).unwrap();
        let found = session.run(Input::Tensor(&input(&case))).unwrap();
        let tensors: Vec<_> = found.tensors.into_iter().map(|(_, t)| t).collect();
        check(&case, &names, &expected, &tensors, "on the GPU");
    }
}
