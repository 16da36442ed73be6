//! Plans as values: snapshots for a few device classes, so that a change of choice is seen in review; memory that is
//! small and never shared by values that are alive; a phone's plan, run on the adapter at hand.
//!
//! After a wanted change: `INSTA_UPDATE=always cargo test --test plan`, and read the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/gpu.rs"]
mod gpu;
#[path = "common/network.rs"]
mod network;

use mobilenet_wgpu::engine::{Engine, Input, SessionOptions};
use mobilenet_wgpu::gpu::DeviceProfile;
use mobilenet_wgpu::graph::{Activation, Conv2d, Graph, GraphBuilder, Groups, Padding, Shape, passes};
use mobilenet_wgpu::kernel::{Precision, variants};
use mobilenet_wgpu::model::MobileNetConfig;
use mobilenet_wgpu::plan::{Plan, PlanOptions, Source, Why};
use mobilenet_wgpu::tune::Tuning;
use mobilenet_wgpu::{Error, reference};
use proptest::prelude::*;
use std::collections::HashMap;
use std::fmt::Write;

fn passed(config: &MobileNetConfig) -> Graph {
    passes::run(&config.graph().unwrap(), &[] as &[&str])
}

fn plan(graph: &Graph, profile: &DeviceProfile, batch: u32) -> Plan {
    let options = PlanOptions { batch, ..Default::default() };
    Plan::new(graph, profile, &variants(), &options).unwrap()
}

fn text(plan: &Plan) -> String {
    let source = |source: &Source| match source {
        Source::Input => "in".to_string(),
        Source::Slot(n) => n.to_string(),
    };
    let mut text = String::new();
    let slots: Vec<String> = plan.slots.iter().map(|b| format!("{} KiB", b.div_ceil(1024))).collect();
    writeln!(text, "batch {}, {} steps, slots {}", plan.batch, plan.steps.len(), slots.join(", ")).unwrap();
    for step in &plan.steps {
        let why = match step.why {
            Why::Preference => "preference",
            Why::OnlyOne => "only one",
            Why::Record(_) => "record",
            Why::ShippedRecord(_) => "shipped record",
            Why::CostModel { .. } => "cost model",
            Why::Shared { .. } => "shared",
        };
        let [x, y, z] = step.workgroups;
        let inputs = [Some(&step.input), step.residual.as_ref()].into_iter().flatten().map(source).collect::<Vec<_>>().join("+");
        let kernel = format!("{}/{}", step.case.op, step.variant);
        let groups = format!("{x}x{y}x{z}");
        writeln!(text, "{:<20} {kernel:<30} {groups:<14} {inputs:>4} -> {}  {why}", step.node, step.output).unwrap();
    }
    text
}

/// Both networks at batch 1 and 16.
fn snapshot(device: &str, profile: &DeviceProfile) {
    for (name, config) in [("v1", MobileNetConfig::v1(1.0)), ("v2", MobileNetConfig::v2(1.0))] {
        let graph = passed(&config);
        let plans = [1, 16].map(|batch| text(&plan(&graph, profile, batch)));
        insta::assert_snapshot!(format!("{name}_{device}"), plans.join("\n"));
    }
}

#[test]
fn llvmpipe() {
    snapshot("llvmpipe", &DeviceProfile::llvmpipe());
}

#[test]
fn phone() {
    snapshot("phone", &DeviceProfile::phone());
}

#[test]
fn desktop() {
    snapshot("desktop", &DeviceProfile::desktop());
}

#[test]
fn web() {
    snapshot("web", &DeviceProfile::web());
}

/// Devices whose records ship with the crate.
fn recorded(name: &str, driver: &str, like: DeviceProfile) -> DeviceProfile {
    DeviceProfile { name: name.into(), driver: driver.into(), ..like }
}

#[test]
fn llvmpipe_of_mesa_22() {
    let driver = "llvmpipe Mesa 22.3.6 (LLVM 15.0.6)";
    snapshot("llvmpipe_mesa_22", &recorded("llvmpipe (LLVM 15.0.6, 256 bits)", driver, DeviceProfile::llvmpipe()));
}

#[test]
fn nvidia_h200() {
    snapshot("nvidia_h200", &recorded("NVIDIA H200", "NVIDIA 580.159.04", DeviceProfile::desktop()));
}

fn devices() -> [DeviceProfile; 4] {
    [DeviceProfile::llvmpipe(), DeviceProfile::phone(), DeviceProfile::desktop(), DeviceProfile::web()]
}

#[test]
fn plans_keep_to_the_limits_of_their_device() {
    for config in [MobileNetConfig::v1(0.25), MobileNetConfig::v1(1.0), MobileNetConfig::v2(0.35), MobileNetConfig::v2(1.4)] {
        let graph = passed(&config);
        for profile in devices() {
            for batch in [1, 7, 64] {
                let options = PlanOptions { batch, ..Default::default() };
                let table = variants();
                let plan = Plan::fitting(&graph, &profile, &table, &options).unwrap();
                assert_eq!(plan.batch, batch, "{} takes a large batch in several passes", profile.name);
                assert!(plan.slots.iter().all(|bytes| *bytes <= profile.max_storage_binding), "{}", profile.name);
                for step in &plan.steps {
                    table[step.row].check(&step.case, Precision::F32, &profile).unwrap();
                    assert!(step.workgroups.iter().all(|n| (1..=profile.max_workgroups).contains(n)), "{}: {step:?}", profile.name);
                }
            }
        }
    }
}

/// Passes begin where a binding of the input may: at multiples of 256 bytes.
#[test]
fn a_micro_batch_suits_caches_limits_and_alignment() {
    let of = |size: u32, profile: &DeviceProfile, options: PlanOptions| {
        let graph = passed(&MobileNetConfig { input: [size, size], ..MobileNetConfig::v2(1.0) });
        let plan = Plan::fitting(&graph, profile, &variants(), &options).unwrap();
        (plan.batch, plan.micro_batch)
    };
    let batch = |batch| PlanOptions { batch, ..Default::default() };
    let [software, phone, desktop, _] = devices();
    assert_eq!(of(224, &software, batch(1)), (1, 1));
    assert_eq!(of(224, &software, batch(64)), (64, 4), "as many as the caches hold");
    assert!(of(32, &software, batch(64)).1 > 32, "small pictures all together");
    assert_eq!(of(224, &desktop, batch(64)), (64, 64));
    let (whole, at_once) = of(224, &phone, batch(64));
    assert!(whole == 64 && (8..64).contains(&at_once), "{at_once} in a binding of 128 MiB");
    assert_eq!(of(224, &desktop, PlanOptions { micro_batch: 9, ..batch(20) }), (20, 9));
    // 33 x 33 x 16 bytes are an odd multiple of 16, so only each sixteenth picture begins at one of 256.
    assert_eq!(of(33, &desktop, PlanOptions { micro_batch: 5, ..batch(40) }), (40, 16));
    assert_eq!(of(33, &desktop, PlanOptions { micro_batch: 5, ..batch(12) }), (12, 12));
    // Inputs that no buffer holds are what makes the batch itself smaller.
    let narrow = DeviceProfile { max_buffer_size: 5 << 20, max_storage_binding: 5 << 20, ..phone };
    assert_eq!(of(224, &narrow, batch(64)), (4, 1));
    // So are outputs, which leave the micro-batch as it is.
    let graph = passed(&MobileNetConfig::v2(1.0)).with_outputs(&["block2.expand", "logits"]).unwrap();
    let narrow = DeviceProfile { max_buffer_size: 100 << 20, max_storage_binding: 100 << 20, ..narrow };
    let plan = Plan::fitting(&graph, &narrow, &variants(), &batch(64)).unwrap();
    assert_eq!((plan.batch, plan.micro_batch), (16, 16));
}

#[test]
fn what_cannot_fit_names_the_node_and_the_limit() {
    let graph = passed(&MobileNetConfig { input: [2048, 2048], ..MobileNetConfig::v1(1.0) });
    let error = Plan::fitting(&graph, &DeviceProfile::phone(), &variants(), &PlanOptions::default()).unwrap_err();
    let Error::Limit { node, limit, needed, available, .. } = &error else { panic!("{error}") };
    assert!(needed > available && *limit == "max_storage_buffer_binding_size" && node == "block1.pointwise", "{error}");
    let half = PlanOptions { precision: Precision::F16, ..Default::default() };
    let error = Plan::new(&passed(&MobileNetConfig::v1(1.0)), &DeviceProfile::phone(), &variants(), &half).unwrap_err();
    assert!(error.to_string().contains("f16"), "{error}");
}

/// A dispatch binds whole buffers, so values that are alive together stand in slots of their own; against what that allows.
#[test]
fn activations_stay_near_the_lower_bound() {
    let widths = |v1: bool, widths: &[f32]| -> Vec<_> {
        widths.iter().map(|w| if v1 { MobileNetConfig::v1(*w) } else { MobileNetConfig::v2(*w) }).collect()
    };
    for config in [widths(true, &[0.25, 0.6, 1.0]), widths(false, &[0.35, 0.5, 0.75, 1.0, 1.3, 1.4])].concat() {
        for size in [96, 224, 448] {
            let graph = passed(&MobileNetConfig { input: [size, size], ..config.clone() });
            for batch in [1, 4] {
                let plan = plan(&graph, &DeviceProfile::desktop(), batch);
                let (used, bound) = (plan.activation_bytes(), plan.bound_bytes);
                assert!(plan.live_bytes <= bound && bound <= used, "{plan:?}");
                assert!(used as f64 <= 1.1 * bound as f64, "at {size}: {used} bytes where {bound} are the least");
            }
        }
    }
}

/// A random graph: convolutions, activations and sums over whatever stands there.
fn graphs() -> impl Strategy<Value = Graph> {
    proptest::collection::vec((0..4u8, any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1..40u32), 1..30).prop_map(|moves| {
        let mut g = GraphBuilder::new();
        let mut ids = vec![g.input("input", Shape::new(9, 7, 5)).unwrap()];
        for (i, (what, a, b, channels)) in moves.into_iter().enumerate() {
            let (a, b, name) = (*a.get(&ids), *b.get(&ids), format!("n{i}"));
            let depthwise = Conv2d::depthwise([3, 3], g.shape(a).channels).padding(Padding::symmetric(1)).with_bias();
            let added = match what {
                0 => g.conv2d(&name, a, Conv2d::new([1, 1], channels).with_bias()),
                1 => g.conv2d(&name, a, depthwise),
                2 => g.activation(&name, a, Activation::Relu6),
                _ => g.add(&name, a, b),
            };
            // A sum of two shapes is refused, and left out.
            ids.extend(added.ok());
        }
        let last = *ids.last().unwrap();
        let outputs = if ids.len() > 3 { vec![last, ids[ids.len() / 2]] } else { vec![last] };
        g.finish(&outputs).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]
    #[test]
    fn a_slot_holds_a_value_as_long_as_it_is_read(graph in graphs()) {
        let graph = passes::run(&graph, &[] as &[&str]);
        let (input, _) = graph.input().unwrap();
        prop_assume!(!graph.outputs().contains(&input));
        let options = PlanOptions { tuning: Tuning::none(), ..Default::default() };
        let plan = Plan::new(&graph, &DeviceProfile::web(), &variants(), &options).unwrap();
        let mut held: HashMap<usize, String> = HashMap::new();
        for step in &plan.steps {
            let node = graph.nodes().iter().find(|n| n.name == step.node).unwrap();
            for (source, id) in [Some(step.input), step.residual].into_iter().flatten().zip(&node.inputs) {
                match source {
                    Source::Input => prop_assert_eq!(*id, input),
                    Source::Slot(slot) => {
                        prop_assert_eq!(held.get(&slot), Some(&graph.node(*id).name), "{} reads slot {}", step.node, slot);
                        prop_assert_ne!(slot, step.output, "{} writes what it reads", step.node);
                    }
                }
            }
            held.insert(step.output, step.node.clone());
        }
        for output in &plan.outputs {
            prop_assert_eq!(held.get(&output.slot), Some(&output.node));
        }
    }
}

/// A device no wider than a phone's, on the adapter at hand: what a phone would run is right.
#[test]
fn a_phones_plan_computes_what_the_reference_does() {
    if gpu::engine().is_none() {
        return;
    }
    let profile = DeviceProfile::phone();
    let descriptor = wgpu_descriptor(&profile);
    let (device, queue) = pollster::block_on(async {
        let instance =
            mobilenet_wgpu::wgpu::Instance::new(mobilenet_wgpu::wgpu::InstanceDescriptor::new_without_display_handle().with_env());
        let adapter = instance.request_adapter(&Default::default()).await.unwrap();
        adapter.request_device(&descriptor).await.unwrap()
    });
    let engine = Engine::new(device, queue).unwrap();
    assert_eq!((engine.profile().max_invocations, engine.profile().subgroup_size), (128, None));
    for (owner, config) in [MobileNetConfig::v1(0.25), MobileNetConfig::v2(0.35)].into_iter().enumerate() {
        let graph = MobileNetConfig { input: [64, 96], ..config }.graph().unwrap();
        let input = network::input(2, Shape::new(64, 96, 3));
        let evaluate = network::evaluate(&graph);
        let expected = reference::run(&graph, &evaluate, &input).unwrap();
        let options = SessionOptions { batch: 2, ..Default::default() };
        let mut session = pollster::block_on(engine.compile_graph(&graph, owner, &evaluate, &options)).unwrap();
        let found = session.run(Input::Tensor(&input)).unwrap();
        network::assert_close(&found.tensors[0].1.data, &expected[0].data, 1e-4);
        // Chosen by the phone's rules: nothing that needs more than it has.
        let table = engine.variants();
        assert!(session.plan().steps.iter().all(|s| table[s.row].invocations <= 128 && table[s.row].workgroup_memory <= 16_384));
    }
}

fn wgpu_descriptor(profile: &DeviceProfile) -> mobilenet_wgpu::wgpu::DeviceDescriptor<'static> {
    mobilenet_wgpu::wgpu::DeviceDescriptor { required_limits: profile.limits(), ..Default::default() }
}

/// Blocks are left apart where nothing says that fusing pays.
#[test]
fn without_records_no_block_is_fused() {
    let graph = passed(&MobileNetConfig::v2(1.0));
    let options = PlanOptions { tuning: Tuning::none(), ..Default::default() };
    let plan = Plan::new(&graph, &DeviceProfile::desktop(), &variants(), &options).unwrap();
    let depthwise = graph.nodes().iter().filter(|n| matches!(&n.op, mobilenet_wgpu::graph::Op::Conv2d(c) if c.groups == Groups::Depthwise));
    assert_eq!(depthwise.count(), 17);
    assert!(plan.steps.iter().all(|s| s.case.hidden == 0));
}
