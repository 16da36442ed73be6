//! What the host does: passes, planning, recording a run, decoding a picture. Kernels are measured by `mobilenet bench`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use criterion::{Criterion, criterion_group, criterion_main};
use mobilenet_wgpu::engine::{Engine, Input, SessionOptions};
use mobilenet_wgpu::gpu::{AdapterOptions, DeviceProfile};
use mobilenet_wgpu::graph::{Graph, Shape, passes};
use mobilenet_wgpu::kernel::variants;
use mobilenet_wgpu::model::MobileNetConfig;
use mobilenet_wgpu::picture::{Frame, Picture, Preprocessing};
use mobilenet_wgpu::plan::{Plan, PlanOptions};
use mobilenet_wgpu::wgpu;
use std::hint::black_box;

#[path = "../tests/common/network.rs"]
mod network;

const NO_PASSES: &[&str] = &[];

fn networks() -> [(&'static str, Graph); 2] {
    [("v1", MobileNetConfig::v1(1.0)), ("v2", MobileNetConfig::v2(1.0))].map(|(name, config)| (name, config.graph().unwrap()))
}

fn graphs(c: &mut Criterion) {
    for (name, graph) in networks() {
        c.bench_function(&format!("passes {name}"), |b| b.iter(|| passes::run(black_box(&graph), NO_PASSES)));
        let passed = passes::run(&graph, NO_PASSES);
        let (profile, table) = (DeviceProfile::llvmpipe(), variants());
        let options = PlanOptions::default();
        c.bench_function(&format!("plan {name}"), |b| b.iter(|| Plan::new(black_box(&passed), &profile, &table, &options).unwrap()));
    }
}

/// Recording alone: what is recorded is submitted and waited for beside the clock, as staging memory comes back only so.
fn encode(c: &mut Criterion) {
    let Ok(engine) = Engine::open(&AdapterOptions::default()) else { return };
    let graph = MobileNetConfig::v2(1.0).graph().unwrap();
    let evaluate = network::evaluate(&graph);
    let mut session = pollster::block_on(engine.compile_graph(&graph, 0, &evaluate, &SessionOptions::default())).unwrap();
    let input = network::input(1, Shape::new(224, 224, 3));
    session.run(Input::Tensor(&input)).unwrap();
    let frame = engine.device().create_buffer(&wgpu::BufferDescriptor {
        label: Some("frame"),
        size: 640 * 480 * 4,
        usage: wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    });
    let (frames, rule) = ([Frame::buffer(&frame, [480, 640])], Preprocessing::TORCH);
    for (name, input) in [("encode v2, tensor", Input::Tensor(&input)), ("encode v2, frame", Input::Frames(&frames, &rule))] {
        c.bench_function(name, |b| {
            b.iter_custom(|iterations| {
                let mut recording = std::time::Duration::ZERO;
                for _ in 0..iterations {
                    let mut encoder = engine.device().create_command_encoder(&Default::default());
                    let start = std::time::Instant::now();
                    let pending = session.encode(&mut encoder, input).unwrap();
                    recording += start.elapsed();
                    engine.queue().submit([encoder.finish()]);
                    pending.wait().unwrap();
                }
                recording
            });
        });
    }
}

fn decode(c: &mut Criterion) {
    let bytes = std::fs::read("assets/cat.png").unwrap();
    c.bench_function("decode cat.png", |b| b.iter(|| Picture::decode(black_box(&bytes), &Default::default()).unwrap()));
}

criterion_group!(benches, graphs, encode, decode);
criterion_main!(benches);
