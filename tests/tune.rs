//! Tuning a small network, and measuring it whole: the record is found by the next plan, goes on where it was stopped,
//! and what it chooses computes the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/gpu.rs"]
mod gpu;
#[path = "common/network.rs"]
mod network;

use mobilenet_wgpu::Tensor;
use mobilenet_wgpu::engine::{Engine, Input, Session, SessionOptions};
use mobilenet_wgpu::graph::{Graph, Shape, passes};
use mobilenet_wgpu::kernel::Precision;
use mobilenet_wgpu::measure::{self, KernelOptions, RunOptions};
use mobilenet_wgpu::model::MobileNetConfig;
use mobilenet_wgpu::plan::Why;
use mobilenet_wgpu::tune::{self, TuneOptions, Tuning, TuningRecord};
use std::ops::ControlFlow;
use std::time::Duration;

fn graph() -> Graph {
    let config = MobileNetConfig { input: [32, 32], ..MobileNetConfig::v2(0.35) };
    config.graph().unwrap()
}

fn session(engine: &Engine, owner: usize, tuning: Tuning, batch: u32) -> Session {
    let graph = graph();
    let options = SessionOptions { tuning, batch, ..Default::default() };
    pollster::block_on(engine.compile_graph(&graph, owner, &network::evaluate(&graph), &options)).unwrap()
}

fn input(batch: u32) -> Tensor {
    network::input(batch, Shape::new(32, 32, 3))
}

fn quick() -> TuneOptions {
    let kernels = KernelOptions { rounds: 1, sample: Duration::from_micros(50), checks: 1, ..Default::default() };
    TuneOptions { kernels, ..Default::default() }
}

#[test]
fn a_record_is_made_case_by_case_and_found_by_the_next_plan() {
    let Some(engine) = gpu::engine() else { return };
    let passed = passes::run(&graph(), &[] as &[&str]);
    let cases = tune::cases(&passed, engine.profile(), engine.variants(), &[1], Precision::F32).unwrap();
    assert!(cases.len() > 20 && cases.iter().any(|c| c.hidden > 0), "{} cases", cases.len());

    // Stopped after three, it goes on with the fourth.
    let mut record = TuningRecord::new(engine.profile());
    let mut texts = Vec::new();
    let stopped = tune::tune(engine, &cases, Precision::F32, &mut record, &quick(), &mut |progress| {
        assert!(progress.result.is_ok(), "{:?}", progress.result);
        texts.push(progress.record.save());
        if texts.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((stopped.unwrap().left(), record.len()), (cases.len() - 3, 3));
    let mut record = TuningRecord::load(&texts[2], engine.profile());
    let rest = tune::tune(engine, &cases, Precision::F32, &mut record, &quick(), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((rest.known, rest.measured, rest.left()), (3, cases.len() - 3, 0));
    let nothing = tune::tune(engine, &cases, Precision::F32, &mut record, &quick(), &mut |_| panic!("all is known")).unwrap();
    assert_eq!(nothing.known, cases.len());
    for (key, case) in record.cases() {
        assert!(case.candidates.iter().all(|c| c.verdict.is_right()), "{key}: {:?}", case.candidates);
    }

    // The plan says so, and the values are those of a plan without the record.
    let mut plain = session(engine, 1, Tuning::none(), 1);
    let mut tuned = session(engine, 1, Tuning::none().with(record.clone()), 1);
    let by_record = tuned.plan().steps.iter().filter(|s| matches!(s.why, Why::Record(_))).count();
    assert!(by_record > 10, "{by_record} steps by record");
    let fused = |s: &Session| s.plan().steps.iter().filter(|s| s.case.hidden > 0).count();
    assert_eq!(fused(&plain), 0, "nothing says that fusing pays");
    let (a, b) = (plain.run(Input::Tensor(&input(1))).unwrap(), tuned.run(Input::Tensor(&input(1))).unwrap());
    network::assert_close(&b.tensors[0].1.data, &a.tensors[0].1.data, 1e-4);

    // A record that says so fuses blocks.
    let text = record.save();
    let slow: String =
        text.lines().map(|line| if line.contains("inverted_residual") { line.to_string() } else { slower(line) } + "\n").collect();
    let fusing = session(engine, 1, Tuning::none().with(TuningRecord::load(&slow, engine.profile())), 1);
    assert!(fused(&fusing) > 5, "{} blocks", fused(&fusing));
}

/// A line of a record with its times a million times longer.
fn slower(line: &str) -> String {
    line.replace("\"min\":", "\"min\":9999")
}

#[test]
fn whole_networks_are_timed() {
    let Some(engine) = gpu::engine() else { return };
    let options = RunOptions { warm_up: 1, runs: 8, budget: None };
    let (mut a, mut b) = (session(engine, 2, Tuning::default(), 2), session(engine, 2, Tuning::default(), 2));
    let input = input(2);
    let latency = measure::latency(&mut a, Input::Tensor(&input), &options).unwrap();
    assert_eq!((latency.batch, latency.runs), (2, 8));
    assert!(latency.min > 0.0 && latency.min <= latency.median && latency.median <= latency.p99 && latency.host < latency.median);

    let same = measure::compare((&mut a, Input::Tensor(&input)), (&mut b, Input::Tensor(&input)), &options).unwrap();
    assert!(same.low <= same.ratio && same.ratio <= same.high, "{same:?}");

    let profile = measure::profile(&mut a, Input::Tensor(&input), &options).unwrap();
    assert_eq!(profile.steps.len(), a.plan().steps.len());
    assert!(profile.steps.iter().all(|s| s.ns > 0.0), "{profile:?}");
    assert!((profile.steps.iter().map(|s| s.share).sum::<f64>() - 1.0).abs() < 1e-6);
    assert!(profile.steps.iter().any(|s| s.gflops > 0.0 && s.gbytes > 0.0));
}
