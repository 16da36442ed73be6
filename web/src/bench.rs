//! The time of each layer, and of each kernel on each layer, measured in the network itself.
//!
//! Kernels are tried by preferring the first of each op wherever it applies, then the second, and so on, and those of whole blocks one
//! by one after them, as they leave no layers to the others; the network's outputs are held against the reference before times count.

use crate::errors::to_js;
use crate::timing::{Timer, median};
use mobilenet_wgpu::engine::{Engine, Input, Outputs, Session, SessionOptions};
use mobilenet_wgpu::kernel::{Case, OpKind};
use mobilenet_wgpu::measure::{CandidateResult, CaseResult, Clock, Times, Verdict, tolerance};
use mobilenet_wgpu::plan::Preference;
use mobilenet_wgpu::tune::TuningRecord;
use mobilenet_wgpu::{Classifier, Error, Model, Result, Tensor};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wasm_bindgen::JsValue;

/// What is preferred in each round.
fn rounds(engine: &Engine) -> Vec<Vec<Preference>> {
    let (blocks, single): (Vec<OpKind>, Vec<OpKind>) =
        OpKind::ALL.iter().partition(|op| matches!(op, OpKind::Separable | OpKind::InvertedResidual));
    let nth = |op: &OpKind, n: usize| {
        let variant = engine.variants().iter().filter(|v| v.op == *op).nth(n)?;
        Some(Preference { op: *op, variant: variant.name.to_string() })
    };
    let together = (0..).map(|n| single.iter().filter_map(|op| nth(op, n)).collect::<Vec<_>>()).take_while(|round| !round.is_empty());
    let alone = blocks.iter().flat_map(|op| (0..).map_while(|n| nth(op, n)).map(|one| vec![one]));
    together.chain(alone).collect()
}

/// Times of the steps as planned, as JSON.
pub async fn profile(engine: &Engine, model: &Model, options: &SessionOptions) -> Result<String> {
    let mut session = engine.session_async(model, options).await?;
    let input = test_input(&session)?;
    session.run_async(Input::Tensor(&input)).await?;
    let timer = Timer::new(&session);
    let times: Vec<f64> = timer.samples(5).await?.iter().map(|(samples, _)| median(samples)).collect();
    let sum: f64 = times.iter().sum();
    let steps = session.plan().steps.iter().zip(&times).map(|(step, ns)| {
        json!({
            "node": step.node, "op": step.case.op, "case": step.case.to_string(), "variant": step.variant, "ns": ns,
            "share": if sum > 0.0 { ns / sum } else { 0.0 },
            "gflops": if *ns > 0.0 { 2.0 * step.case.macs() as f64 / ns } else { 0.0 },
        })
    });
    Ok(json!({ "clock": timer.clock(), "steps": steps.collect::<Vec<_>>(), "sum": sum }).to_string())
}

/// What was measured of one case.
struct Layer {
    case: Case,
    nodes: Vec<String>,
    candidates: Vec<CandidateResult>,
}

/// Every kernel on every layer: `{ record, layers }`, the record as the native tool writes it.
pub async fn bench(
    engine: &Engine,
    model: &Model,
    options: &SessionOptions,
    measured: f64,
    on_progress: &js_sys::Function,
) -> std::result::Result<String, JsValue> {
    let rounds = rounds(engine);
    let total = rounds.len() as u32;
    let mut layers: Vec<Layer> = Vec::new();
    let mut clock = Clock::Wall;
    let mut expected = None;
    for (done, prefer) in (1u32..).zip(rounds) {
        let options = SessionOptions { prefer, in_flight: 1, ..options.clone() };
        clock = one_round(engine, model, &options, &mut expected, &mut layers).await.map_err(|e| to_js(&e))?;
        on_progress.call2(&JsValue::NULL, &done.into(), &total.into())?;
    }
    let mut record = TuningRecord::new(engine.profile());
    record.adapter_info = adapter_info(engine);
    let mut drawn = Vec::new();
    for Layer { case, nodes, candidates } in layers {
        let candidates_json = candidates.iter().map(|c| json!({ "variant": c.variant, "ns": c.ns(), "right": c.verdict.is_right() }));
        drawn.push(json!({
            "op": case.op, "case": case.to_string(), "nodes": nodes, "candidates": candidates_json.collect::<Vec<Value>>(),
        }));
        record.insert(CaseResult { case, precision: options.precision, clock, candidates }, measured as u64);
    }
    Ok(json!({ "record": record.save(), "layers": drawn, "clock": clock }).to_string())
}

/// The browser's `GPUAdapterInfo`, as far as it tells.
fn adapter_info(engine: &Engine) -> BTreeMap<String, String> {
    const TOLD: [&str; 7] = ["vendor", "architecture", "device", "description", "subgroupMinSize", "subgroupMaxSize", "isFallbackAdapter"];
    let get = |of: &JsValue, name: &str| js_sys::Reflect::get(of, &name.into()).ok().filter(|v| !v.is_undefined() && !v.is_null());
    let device: Option<&JsValue> = engine.device().as_webgpu().map(AsRef::as_ref);
    let Some(info) = device.and_then(|device| get(device, "adapterInfo")) else { return BTreeMap::new() };
    let text = |v: JsValue| v.as_string().or_else(|| Some(v.as_f64()?.to_string())).or_else(|| Some(v.as_bool()?.to_string()));
    let told = TOLD.iter().filter_map(|name| Some((name.to_string(), text(get(&info, name)?)?)));
    told.filter(|(_, value)| !value.is_empty()).collect()
}

/// Runs the network with one choice of kernels and adds what is new to the layers.
async fn one_round(
    engine: &Engine,
    model: &Model,
    options: &SessionOptions,
    expected: &mut Option<Outputs>,
    layers: &mut Vec<Layer>,
) -> Result<Clock> {
    let mut session = engine.session_async(model, options).await?;
    let input = test_input(&session)?;
    let found = session.run_async(Input::Tensor(&input)).await?;
    if expected.is_none() {
        let mut reference = Classifier::on_cpu(model.clone(), options)?;
        *expected = Some(reference.run_async(&input).await?);
    }
    let error = expected.as_ref().map_or(f64::INFINITY, |expected| relative_error(&found, expected));
    let timer = Timer::new(&session);
    let samples = timer.samples(5).await?;
    for (step, (samples, repeats)) in session.plan().steps.iter().zip(samples) {
        let variant = &engine.variants()[step.row];
        // A network's tolerance is ten times a kernel's: its layers' rounding adds up.
        let right = error <= 10.0 * tolerance(options.precision);
        let differs = || Verdict::Differs(format!("the network's outputs differ by {error:.1e}"));
        let mut result = CandidateResult::new(variant, step.workgroups, if right { Verdict::Right } else { differs() });
        result.error = Some(error);
        result.warm = Times::of(&samples, repeats);
        let layer = match layers.iter_mut().find(|l| l.case == step.case) {
            Some(layer) => layer,
            None => {
                layers.push(Layer { case: step.case, nodes: Vec::new(), candidates: Vec::new() });
                let last = layers.len() - 1;
                &mut layers[last]
            }
        };
        if !layer.nodes.contains(&step.node) {
            layer.nodes.push(step.node.clone());
        }
        // A layer of the same case, or a round without a choice for this one, has told it before.
        if layer.candidates.iter().all(|c| c.variant != result.variant) {
            layer.candidates.push(result);
        }
    }
    Ok(timer.clock())
}

/// Values like a normalised picture's, the same every time.
fn test_input(session: &Session) -> Result<Tensor> {
    let shape = session.plan().input;
    let value = |i: u64| ((i * 2_654_435_761 % 4093) as f32 / 2046.5) - 1.0;
    Tensor::from_nhwc(1, shape, (0..shape.elements()).map(value).collect())
}

/// The largest over the outputs: norm of the difference in parts of the norm of what was expected.
fn relative_error(found: &Outputs, expected: &Outputs) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let errors = found.tensors.iter().map(|(name, tensor)| {
        let Some(expected) = expected.get(name) else { return f64::INFINITY };
        let difference = norm(&mut tensor.data.iter().zip(&expected.data).map(|(a, b)| f64::from(a - b)));
        difference / norm(&mut expected.data.iter().map(|v| f64::from(*v))).max(f64::MIN_POSITIVE)
    });
    // NaN must not hide behind `max`.
    errors.fold(0.0, |worst, e| if e.is_nan() || e > worst { if e.is_nan() { f64::INFINITY } else { e } } else { worst })
}

/// For a network that has no device.
pub fn no_device() -> JsValue {
    to_js(&Error::Option { option: "backend", message: "the CPU has no kernels to measure; load the network on the GPU".into() })
}
