//! What the tests call in a browser: every kernel that may be planned there is compiled by the browser and compared with
//! the reference, on shapes that fit no tile.

use crate::errors::to_js;
use mobilenet_wgpu::engine::{Engine, Input, SessionOptions};
use mobilenet_wgpu::gpu::AdapterOptions;
use mobilenet_wgpu::graph::{Activation, Conv2d, Graph, GraphBuilder, Groups, Norm, Op, Padding, Param, Shape, passes};
use mobilenet_wgpu::kernel::{Case, OpKind, Precision, Variant};
use mobilenet_wgpu::plan::Preference;
use mobilenet_wgpu::{Error, Result, Tensor, reference};
use serde_json::{Value, json};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

/// One kernel on one problem.
struct Check<'a> {
    engine: &'a Engine,
    variant: &'a Variant,
    precision: Precision,
    owner: usize,
}

/// Compares every variant that applies; a JSON array of `{op, variant, case, precision, error}` or `{…, failed}`, and of
/// `{op, variant, refused}` for those that applied to nothing.
#[wasm_bindgen(js_name = checkVariants)]
pub async fn check_variants() -> core::result::Result<String, JsValue> {
    let engine = Engine::request(&AdapterOptions::default()).await.map_err(|e| to_js(&e))?;
    let problems = problems().map_err(|e| to_js(&e))?;
    let precisions: &[Precision] = if engine.profile().f16 { &Precision::ALL } else { &[Precision::F32] };
    let mut results = Vec::new();
    let mut owner = 0;
    for variant in engine.variants() {
        let before = results.len();
        let mut refused = "no problem is of its op";
        for (op, graph, batch) in problems.iter().filter(|(op, ..)| *op == variant.op) {
            let case = match case(graph, *op, *batch) {
                Some(case) => case,
                None => continue,
            };
            for precision in precisions {
                if let Err(why) = variant.check(&case, *precision, engine.profile()) {
                    refused = why;
                    continue;
                }
                owner += 1;
                let check = Check { engine: &engine, variant, precision: *precision, owner };
                let outcome = check.run(graph, *batch).await;
                results.push(report(variant, &case, *precision, outcome));
            }
        }
        if results.len() == before {
            results.push(json!({ "op": variant.op, "variant": variant.name, "refused": refused }));
        }
    }
    Ok(Value::from(results).to_string())
}

fn report(variant: &Variant, case: &Case, precision: Precision, outcome: Result<f32>) -> Value {
    let mut result = json!({ "op": variant.op, "variant": variant.name, "case": case.to_string(), "precision": precision });
    match outcome {
        Ok(error) => result["error"] = json!(error),
        Err(error) => result["failed"] = json!(error.to_string()),
    }
    result
}

/// The case of the op, in the graph as passes leave it; fused blocks are fused by the planner.
fn case(graph: &Graph, op: OpKind, batch: u32) -> Option<Case> {
    let passed = passes::run(graph, &[] as &[&str]);
    let passed = match op {
        OpKind::Separable | OpKind::InvertedResidual => passes::fuse_blocks(&passed, |_, _| true),
        _ => passed,
    };
    passed.nodes().iter().filter_map(|node| Case::of(&passed, node, batch)).find(|case| case.op == op)
}

impl Check<'_> {
    /// The largest difference from the reference, in parts of its largest value.
    async fn run(&self, graph: &Graph, batch: u32) -> Result<f32> {
        let shape = graph.input().map_or(Shape::new(1, 1, 1), |(_, shape)| shape);
        let input = Tensor::from_nhwc(batch, shape, values(1, (u64::from(batch) * shape.elements()) as usize))?;
        let params = |param: &Param| param.evaluate(&|name| tensor(graph, name));
        let expected = reference::run(graph, &params, &input)?.remove(0);
        let prefer = vec![Preference { op: self.variant.op, variant: self.variant.name.to_string() }];
        let options = SessionOptions { batch, prefer, precision: self.precision, ..Default::default() };
        let mut session = self.engine.compile_graph(graph, self.owner, &params, &options).await?;
        let planned = session.plan().steps.iter().any(|s| s.case.op == self.variant.op && s.variant == self.variant.name);
        if !planned {
            return Err(Error::Kernel { name: self.variant.name.to_string(), message: "it was preferred and not planned".into() });
        }
        let found = session.run_async(Input::Tensor(&input)).await?.tensors.remove(0).1;
        let scale = expected.data.iter().fold(1.0f32, |most, v| most.max(v.abs()));
        let differences =
            found.data.iter().zip(&expected.data).map(|(a, b)| if a.is_nan() { f32::INFINITY } else { (a - b).abs() / scale });
        Ok(differences.fold(0.0, f32::max))
    }
}

/// Values in -1..1 that depend on a seed and their index alone.
fn values(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// A parameter by rule, small enough that sums stay in f16's range.
fn tensor(graph: &Graph, name: &str) -> Result<Vec<f32>> {
    let unknown = || Error::Tensor { name: name.into(), message: "no node reads it".into() };
    let (node, part) = name.split_once('.').ok_or_else(unknown)?;
    let node = graph.nodes().iter().find(|n| n.name == node).ok_or_else(unknown)?;
    let channels = graph.input_shape(node).map_or(0, |shape| shape.channels);
    let n = match (&node.op, part) {
        (Op::Conv2d(conv), "filters") => conv.filter_shape(channels).iter().product(),
        _ => node.shape.channels as usize,
    };
    let seed = name.bytes().fold(7u64, |hash, b| hash.wrapping_mul(31).wrapping_add(u64::from(b)));
    let scale = if part == "filters" { (node.shape.channels as f32 / n as f32).sqrt().max(0.05) } else { 0.5 };
    let offset = if part.ends_with("variance") { 1.0 } else { 0.0 };
    Ok(values(seed, n).into_iter().map(|v| v * scale + offset).collect())
}

type Problem = (OpKind, Graph, u32);

/// Odd sizes, channels that are no multiple of 4, every stride, padding of all kinds, batches.
fn problems() -> Result<Vec<Problem>> {
    let same = Padding { top: 0, left: 0, bottom: 1, right: 1 };
    let (one, none) = (Padding::symmetric(1), Padding::default());
    let mut all = Vec::new();
    for (batch, h, w, cin, cout, kernel, stride, padding) in [
        (1, 17, 19, 3, 16, [3, 3], 2, one),
        (2, 9, 13, 3, 19, [3, 3], 2, same),
        (1, 8, 5, 6, 75, [3, 3], 1, one),
        (3, 7, 6, 1, 4, [5, 5], 3, Padding { top: 2, left: 0, bottom: 1, right: 2 }),
        (1, 4, 9, 2, 33, [2, 3], 1, none),
    ] {
        let conv = Conv2d::new(kernel, cout).stride(stride).padding(padding);
        all.push(single(OpKind::Convolution, batch, Shape::new(h, w, cin), conv)?);
    }
    for (batch, h, w, channels, kernel, stride, padding) in [
        (1, 17, 19, 32, [3, 3], 1, one),
        (2, 13, 9, 19, [3, 3], 1, one),
        (1, 16, 15, 38, [3, 3], 2, same),
        (3, 5, 7, 70, [3, 3], 2, one),
        (1, 1, 1, 5, [3, 3], 1, one),
        (1, 11, 8, 12, [5, 5], 1, Padding::symmetric(2)),
        (1, 9, 9, 8, [3, 3], 3, none),
    ] {
        let conv = Conv2d::depthwise(kernel, channels).stride(stride).padding(padding);
        all.push(single(OpKind::Depthwise, batch, Shape::new(h, w, channels), conv)?);
    }
    for (batch, h, w, cin, cout) in
        [(1, 17, 19, 32, 16), (2, 7, 7, 70, 75), (1, 1, 1, 1280, 10), (3, 5, 9, 19, 38), (1, 14, 14, 96, 24), (1, 3, 1, 1, 1)]
    {
        all.push(single(OpKind::Pointwise, batch, Shape::new(h, w, cin), Conv2d::new([1, 1], cout))?);
        all.push(residual(batch, Shape::new(h, w, cin), cout)?);
    }
    for (batch, shape) in [(1, Shape::new(7, 7, 1280)), (2, Shape::new(5, 9, 19)), (3, Shape::new(1, 1, 6))] {
        all.extend(elementwise(batch, shape)?);
    }
    for (batch, h, w, cin, hidden, cout, stride, padding) in [
        (1, 14, 14, 24, 144, 24, 1, one),
        (2, 9, 13, 19, 38, 19, 1, one),
        (1, 12, 10, 16, 96, 24, 2, same),
        (3, 5, 5, 70, 33, 150, 1, one),
        (1, 3, 2, 3, 5, 2, 2, Padding { top: 1, left: 0, bottom: 1, right: 1 }),
    ] {
        let depthwise = |channels| Conv2d::depthwise([3, 3], channels).stride(stride).padding(padding);
        let shape = Shape::new(h, w, cin);
        all.push((OpKind::InvertedResidual, block(shape, Some(hidden), depthwise(hidden), cout)?, batch));
        all.push((OpKind::Separable, block(shape, None, depthwise(cin), cout)?, batch));
    }
    Ok(all)
}

fn single(op: OpKind, batch: u32, input: Shape, conv: Conv2d) -> Result<Problem> {
    let mut g = GraphBuilder::new();
    let x = g.input("input", input)?;
    let y = g.conv2d("op", x, conv.with_bias().with_activation(Activation::Relu6))?;
    Ok((op, g.finish(&[y])?, batch))
}

fn residual(batch: u32, input: Shape, channels: u32) -> Result<Problem> {
    let mut g = GraphBuilder::new();
    let x = g.input("input", input)?;
    let y = g.conv2d("conv", x, Conv2d::new([1, 1], channels).with_bias())?;
    let other = g.conv2d("other", x, Conv2d::new([1, 1], channels))?;
    let sum = g.add("sum", y, other)?;
    Ok((OpKind::Pointwise, g.finish(&[sum])?, batch))
}

fn elementwise(batch: u32, input: Shape) -> Result<Vec<Problem>> {
    let ops = [OpKind::BatchNorm, OpKind::Activation, OpKind::Add, OpKind::Pool, OpKind::Softmax];
    let problem = |op: OpKind| {
        let mut g = GraphBuilder::new();
        let x = g.input("input", input)?;
        let y = match op {
            OpKind::BatchNorm => g.batch_norm("op", x, Norm::named("op", 1e-3))?,
            OpKind::Activation => g.activation("op", x, Activation::Relu6)?,
            OpKind::Add => g.add("op", x, x)?,
            OpKind::Pool => g.global_average_pool("op", x)?,
            _ => {
                let pooled = g.global_average_pool("pool", x)?;
                g.softmax("op", pooled)?
            }
        };
        Ok((op, g.finish(&[y])?, batch))
    };
    ops.into_iter().map(problem).collect()
}

/// A block of V2 (with `hidden`) or V1, its input in a slot as in a network.
fn block(input: Shape, hidden: Option<u32>, depthwise: Conv2d, channels: u32) -> Result<Graph> {
    debug_assert!(depthwise.groups == Groups::Depthwise);
    let relu6 = |conv: Conv2d| conv.with_bias().with_activation(Activation::Relu6);
    let mut g = GraphBuilder::new();
    let x = g.input("input", input)?;
    let x = g.activation("clamped", x, Activation::Relu6)?;
    let wide = match hidden {
        Some(hidden) => g.conv2d("expand", x, relu6(Conv2d::new([1, 1], hidden)))?,
        None => x,
    };
    let middle = g.conv2d("depthwise", wide, relu6(depthwise))?;
    let last = Conv2d::new([1, 1], channels).with_bias();
    let mut y = g.conv2d("project", middle, if hidden.is_some() { last } else { last.with_activation(Activation::Relu6) })?;
    if hidden.is_some() && g.shape(y) == input {
        y = g.add("add", y, x)?;
    }
    g.finish(&[y])
}
