//! The lab through the crate: a user's kernel in a whole network, and results that become the tuning record.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/gpu.rs"]
mod gpu;

use mobilenet_wgpu::engine::{Input, Outputs, SessionOptions};
use mobilenet_wgpu::graph::{Activation, Conv2d, GraphBuilder, Param, Shape};
use mobilenet_wgpu::kernel::{OpKind, Precision};
use mobilenet_wgpu::lab::{
    Agreement, Entry, Here, LayerCase, Roof, Rung, Strategy, Sweep, SweepBench, SweepOptions, UserKernel, adopt, case_of_shape, counting,
    read_entries, starting_point,
};
use mobilenet_wgpu::measure::{KernelOptions, Stopwatch, Times, kernels};
use mobilenet_wgpu::plan::{Preference, Why};
use mobilenet_wgpu::tune::{Tuning, TuningRecord};
use mobilenet_wgpu::{Error, Tensor, engine::Engine};
use std::collections::BTreeSet;

/// Two pointwise layers on one engine, with the kernel that `prefer` names.
fn run(engine: &Engine, prefer: Vec<Preference>, tuning: Tuning) -> (Outputs, Vec<Why>) {
    let mut g = GraphBuilder::new();
    let x = g.input("input", Shape::new(9, 7, 12)).unwrap();
    let y = g.conv2d("first", x, Conv2d::new([1, 1], 24).with_bias().with_activation(Activation::Relu6)).unwrap();
    let z = g.conv2d("second", y, Conv2d::new([1, 1], 10).with_bias()).unwrap();
    let graph = g.finish(&[z]).unwrap();
    let tensors = |name: &str| {
        let n = match name {
            "first.filters" => 12 * 24,
            "second.filters" => 24 * 10,
            "first.bias" => 24,
            _ => 10,
        };
        Ok((0..n).map(|i| (i * 37 % 64) as f32 / 64.0 - 0.5).collect())
    };
    let evaluate = |param: &Param| param.evaluate(&tensors);
    let options = SessionOptions { prefer, tuning, ..SessionOptions::default() };
    let mut session = pollster::block_on(engine.compile_graph(&graph, 1, &evaluate, &options)).unwrap();
    let values = (0..9 * 7 * 12).map(|i| (i % 29) as f32 / 29.0 - 0.5).collect();
    let input = Tensor::from_nhwc(1, Shape::new(9, 7, 12), values).unwrap();
    let outputs = session.run(Input::Tensor(&input)).unwrap();
    (outputs, session.plan().steps.iter().map(|s| s.why.clone()).collect())
}

#[test]
fn a_network_takes_a_users_kernel_and_agrees() {
    let Some(engine) = gpu::engine() else { return };
    let source = starting_point(OpKind::Pointwise).unwrap();
    let with = |source: &str| {
        let kernel = UserKernel::read(OpKind::Pointwise, "mine.wgsl", source, None, &[]).unwrap();
        let engine = engine.with_more(kernel.variants().unwrap()).unwrap();
        run(&engine, vec![Preference { op: OpKind::Pointwise, variant: "mine".into() }], Tuning::none())
    };
    let (ours, _) = run(engine, Vec::new(), Tuning::none());
    let (mine, why) = with(&source);
    assert_eq!(why, [Why::Preference, Why::Preference]);
    assert!(Agreement::of(&mine, &ours, Precision::F32).agrees);
    let (wrong, _) = with(&source.replace("var v = sum;", "var v = sum; if (pixel == 5u) { v.x += 1.0; }"));
    assert!(!Agreement::of(&wrong, &ours, Precision::F32).agrees);
}

#[test]
fn results_stand_against_the_roof_and_become_the_plans_record() {
    let Some(engine) = gpu::engine() else { return };
    let watch = Stopwatch::new(engine.device(), engine.queue()).unwrap();
    let roof = Roof::measure(engine, &watch).unwrap();
    assert!(roof.gflops > 0.0 && roof.bandwidth() > 0.0 && roof.dispatch > 0.0 && roof.read_back > 0.0, "{roof:?}");
    assert_eq!(roof.gflops_f16.is_some(), engine.profile().f16);
    let case = case_of_shape(OpKind::Pointwise, [9, 7, 12, 24], 1, 1, 6);
    let rows: Vec<_> = engine.variants().iter().collect();
    let options = KernelOptions { rounds: 3, hopeless: 0.0, ..KernelOptions::default() };
    let result = kernels(engine, &watch, &case, Precision::F32, &rows, &options).unwrap();
    let entry = Entry::new(engine.profile(), result, Some(&roof));
    assert!(entry.standing.len() > 1 && entry.standing.values().all(|s| s.share > 0.0), "{entry:?}");
    let entries = read_entries(&format!("{}\n", entry.line().unwrap())).unwrap();
    assert_eq!(entries[0].key(), entry.key());
    let mut record = TuningRecord::new(engine.profile());
    assert_eq!(adopt(&entries, &mut record).cases, 1);
    let (_, why) = run(engine, Vec::new(), Tuning::none().with(record));
    assert!(matches!(why[0], Why::Record(_)), "{why:?}");
}

#[test]
fn bytes_are_counted_as_often_as_a_kernel_asks_for_them() {
    let Some(engine) = gpu::engine() else { return };
    let watch = Stopwatch::new(engine.device(), engine.queue()).unwrap();
    let options = KernelOptions { rounds: 1, counting: Some(counting), ..KernelOptions::default() };
    let measure = |case, precision| {
        let rows: Vec<_> = engine.variants().iter().collect();
        kernels(engine, &watch, &case, precision, &rows, &options).unwrap().candidates
    };
    let case = case_of_shape(OpKind::Pointwise, [8, 8, 16, 24], 1, 1, 6);
    let precision = if engine.profile().f16 { Precision::F16Storage } else { Precision::F32 };
    for precision in [Precision::F32, precision] {
        let candidates = measure(case, precision);
        let tile = candidates.iter().find(|c| c.variant == "register_tile").unwrap();
        // 16 tiles of four pixels x 6 channel quads, each with 4 quads of inputs for its pixels and their 4 rows of weights.
        let quad = 4 * precision.bytes();
        let expected = [("bias", 16 * 6), ("input", 16 * 6 * 4 * 4), ("output", 64 * 6), ("weights", 16 * 6 * 4 * 4)];
        assert_eq!(tile.moved, expected.map(|(name, quads)| (name.to_string(), quads * quad)).into());
        assert!(candidates.iter().all(|c| c.moved["output"] >= 64 * 6 * quad), "{candidates:?}");
    }
    for op in OpKind::ALL {
        let case = case_of_shape(op, [9, 7, 20, 20], 1, 1, 2);
        for c in measure(case, Precision::F32).iter().filter(|c| c.verdict.is_right()) {
            let of = |name| c.moved.get(name).copied().unwrap_or_default();
            let least = case.output.pixels() * u64::from(case.output.c4()) * 16;
            assert!(of("output") >= least && of("input") >= 5 * 16, "{op}: {c:?}");
        }
    }
}

/// Measures here, and gives each candidate the time of its place in `names` in place of what the clock said, and as many
/// samples as were asked for: what is weeded hangs on nothing else.
struct ByName<'a> {
    here: Here<'a>,
    names: Vec<String>,
}

impl SweepBench for ByName<'_> {
    type Error = Error;

    fn measure(&mut self, rung: &Rung<'_>) -> Result<Entry, Error> {
        let mut entry = self.here.measure(rung)?;
        for c in &mut entry.result.candidates {
            assert!(c.verdict.is_right() && c.warm.is_some(), "{c:?}");
            let ns = 1000.0 * (1 + self.names.iter().position(|n| *n == c.variant).unwrap()) as f64;
            c.warm = Some(Times { min: ns, p10: ns, median: ns, p90: ns, samples: rung.rounds, repeats: 1 });
        }
        Ok(entry)
    }

    fn keep(&mut self, entry: &Entry) -> Result<(), Error> {
        self.here.keep(entry)
    }
}

#[test]
fn a_sweep_weeds_the_slow_and_goes_on_where_it_was() {
    let Some(engine) = gpu::engine() else { return };
    let watch = Stopwatch::new(engine.device(), engine.queue()).unwrap();
    let kernel = "// lab: param WIDE = 1, 2\noverride WIDE: u32 = 1u;\n".to_string() + &starting_point(OpKind::Pointwise).unwrap();
    let users = UserKernel::read(OpKind::Pointwise, "mine.wgsl", &kernel, None, &[]).unwrap().variants().unwrap();
    let cases = [LayerCase::alone(case_of_shape(OpKind::Pointwise, [9, 7, 12, 24], 1, 1, 6))];
    let options = SweepOptions { strategy: Strategy::Halving, rounds: 6, ..SweepOptions::default() };
    let ours = || engine.variants().iter().filter(|v| v.op == OpKind::Pointwise);
    let names: Vec<String> = ours().chain(&users).map(|v| v.name.to_string()).collect();
    let mut bench = ByName { here: Here { engine, watch: &watch, precision: Precision::F32, roof: None }, names: names.clone() };
    let mut first = Sweep::new(engine, Precision::F32, ours().collect(), Vec::new(), options);
    assert_eq!(first.run(&cases, &mut bench).unwrap(), 1);
    let of = |sweep: &Sweep, samples: u32| -> BTreeSet<String> {
        let candidates = sweep.entry(&cases[0]).unwrap().result.candidates.clone();
        candidates.into_iter().filter(|c| c.warm.is_some_and(|t| t.samples >= samples)).map(|c| c.variant).collect()
    };
    // All with two samples, the better third with six.
    let all = of(&first, 2);
    assert!(all.len() > 3, "{all:?}");
    let better: BTreeSet<String> = names.iter().filter(|n| all.contains(*n)).take(all.len().div_ceil(3)).cloned().collect();
    assert_eq!(of(&first, 6), better);
    assert_eq!(first.measured, all.len() + better.len());
    // With the record there is nothing left to begin; with two kernels more those are measured.
    let mut again = Sweep::new(engine, Precision::F32, ours().collect(), first.entries.clone(), options);
    again.run(&cases, &mut bench).unwrap();
    assert_eq!(again.measured, 0);
    let mut more = Sweep::new(engine, Precision::F32, ours().chain(&users).collect(), first.entries.clone(), options);
    more.run(&cases, &mut bench).unwrap();
    assert_eq!(of(&more, 2).len(), all.len() + 2);
    assert!(more.measured >= 2 && more.entries[0].sources.len() == 2, "{:?}", more.entries[0].sources.keys());
    let none = SweepOptions { budget: Some(std::time::Duration::ZERO), ..options };
    assert_eq!(Sweep::new(engine, Precision::F32, ours().collect(), Vec::new(), none).run(&cases, &mut bench).unwrap(), 0);
    // By this machine's own clock it ends too, with a time for each.
    let mut by_clock = Sweep::new(engine, Precision::F32, ours().collect(), Vec::new(), options);
    assert_eq!(by_clock.run(&cases, &mut bench.here).unwrap(), 1);
    assert_eq!(of(&by_clock, 1), all);
}
