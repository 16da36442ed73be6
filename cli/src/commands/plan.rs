//! `mobilenet plan`: what would run, and why, without running it.

use crate::backend;
use crate::failure::{Failure, Outcome, Status};
use crate::model;
use crate::options::{DeviceOptions, ModelOptions};
use crate::output::{Output, Table, bytes, count};
use crate::own::Kernels;
use crate::tuning;
use clap::ValueEnum;
use mobilenet_wgpu::gpu::DeviceProfile;
use mobilenet_wgpu::graph::passes;
use mobilenet_wgpu::kernel::{self, Precision, Variant};
use mobilenet_wgpu::plan::{Plan, PlanOptions, Source, Step, Why};
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  mobilenet plan                            for the model and the GPU that `classify` would take
  mobilenet plan --model model.safetensors --batch 8 --precision f16-storage
  mobilenet plan --device phone             for a device that is not here: no GPU is needed
  mobilenet plan --device web --tuning tuning.json   for the browser whose bench wrote the record
  mobilenet plan --json | jq '.plan.steps[] | {node, variant, parameters, bytes_read, bytes_written, macs, why}'";

/// What would run here: kernels, dispatches, buffers, bytes, and why
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelOptions,
    #[command(flatten)]
    device: DeviceOptions,
    /// Plan for a device of this kind instead of one that is here
    #[arg(long = "device", value_enum, value_name = "KIND", conflicts_with_all = ["adapter", "backend", "cpu"])]
    kind: Option<Kind>,
    /// Largest batch
    #[arg(long, short, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Nodes whose values are wanted, with commas: logits, probabilities, embedding, features, block3.expand …
    #[arg(long, value_name = "NODE,NODE…", value_delimiter = ',')]
    outputs: Vec<String>,
    /// Graph passes to leave out, with commas
    #[arg(long, value_name = "PASS,PASS…", value_delimiter = ',')]
    without: Vec<String>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Phone,
    Desktop,
    Web,
    Llvmpipe,
}

/// Makes the plan and writes it.
pub fn run(arguments: &Arguments) -> Outcome {
    if arguments.device.cpu {
        return Err(Failure::new("the CPU runs the graph as it is, without a plan\nnext: leave --cpu out, or use --device llvmpipe"));
    }
    let (model, source) = model::load(&arguments.model)?;
    let own = Kernels::read(&arguments.device)?;
    let (profile, variants) = match arguments.kind {
        Some(kind) => {
            let table = [kernel::variants(), own.variants().to_vec()].concat();
            (tuning::as_recorded(made_up(kind), arguments.device.tuning.as_deref())?, table)
        }
        None => {
            let engine = backend::engine(&arguments.device, &own)?;
            (engine.profile().clone(), engine.variants().to_vec())
        }
    };
    let mut graph = model.graph(None)?;
    if !arguments.outputs.is_empty() {
        graph = graph.with_outputs(&arguments.outputs)?;
    }
    arguments.without.iter().try_for_each(|name| passes::find(name).map(drop))?;
    let graph = passes::run(&graph, &arguments.without);
    let precision = arguments.device.precision.on(Some(&profile))?;
    let tuning = tuning::asked(arguments.device.tuning.as_deref(), &profile)?;
    let options = PlanOptions { batch: arguments.batch, precision, tuning, prefer: own.prefer().collect(), ..PlanOptions::default() };
    let plan = Plan::fitting(&graph, &profile, &variants, &options)?;
    let mut out = Output::new();
    if arguments.json {
        out.json_pretty(&value(&plan, &variants, &source.to_string()))?;
    } else {
        let name = model.recognition();
        let parts = if plan.micro_batch < plan.batch { format!(", {} at a time", plan.micro_batch) } else { String::new() };
        out.line(format!("{}\n{}, {}, batch {}{parts}\n", out.bold(name), plan.device, plan.precision, plan.batch))?;
        steps(&plan, &variants).write(&mut out)?;
        out.line("")?;
        totals(&mut out, &plan)?;
    }
    out.flush()?;
    Ok(Status::Good)
}

fn made_up(kind: Kind) -> DeviceProfile {
    match kind {
        Kind::Phone => DeviceProfile::phone(),
        Kind::Desktop => DeviceProfile::desktop(),
        Kind::Web => DeviceProfile::web(),
        Kind::Llvmpipe => DeviceProfile::llvmpipe(),
    }
}

fn value(plan: &Plan, variants: &[Variant], model: &str) -> serde_json::Value {
    let mut value = json!({
        "model": model,
        "totals": {
            "dispatches": plan.dispatches(),
            "macs": plan.macs(),
            "weight_bytes": plan.weight_bytes(),
            "activation_bytes": plan.activation_bytes(),
            "live_bytes": plan.live_bytes,
            "upload_bytes": plan.input_bytes(plan.batch),
        },
        "plan": plan,
    });
    for (of_step, step) in value["plan"]["steps"].as_array_mut().into_iter().flatten().zip(&plan.steps) {
        of_step["parameters"] = parameters(step, variants).iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        of_step["bytes_read"] = step.bytes_read(plan.precision).into();
        of_step["bytes_written"] = step.bytes_written(plan.precision).into();
        of_step["macs"] = step.case.macs().into();
    }
    value
}

/// The `override` constants of a step's variant.
fn parameters<'a>(step: &Step, variants: &'a [Variant]) -> &'a [(String, f64)] {
    variants.get(step.row).map_or(&[], |variant| &variant.parameters)
}

fn steps(plan: &Plan, variants: &[Variant]) -> Table {
    let headings = ["node", "variant", "workgroups", "reads", "writes", "MACs", "in", "out", "why"];
    let mut table = Table::new(&headings, &[3, 4, 5]);
    for step in &plan.steps {
        let [x, y, z] = step.workgroups;
        let parameters: String = parameters(step, variants).iter().map(|(name, value)| format!(" {name}={value}")).collect();
        table.row([
            step.node.clone(),
            format!("{}/{}{parameters}", step.case.op.name(), step.variant),
            format!("{x}x{y}x{z}"),
            bytes(step.bytes_read(plan.precision)),
            bytes(step.bytes_written(plan.precision)),
            count(step.case.macs()),
            inputs(step),
            format!("slot {}", step.output),
            why(&step.why, step.case.batch),
        ]);
    }
    table
}

fn inputs(step: &Step) -> String {
    let name = |source: Source| match source {
        Source::Input => "input".to_string(),
        Source::Slot(n) => format!("slot {n}"),
    };
    step.residual.map_or(name(step.input), |second| format!("{} + {}", name(step.input), name(second)))
}

fn why(why: &Why, batch: u32) -> String {
    let us = |ns: f64| format!("{:.1} us", ns / 1e3);
    let beside = |name: &str, ns: Option<f64>| ns.map_or(name.to_string(), |ns| format!("{name} {}", us(ns)));
    match why {
        Why::Preference => "asked for".into(),
        Why::OnlyOne => "no other applies".into(),
        Why::Record(m) | Why::ShippedRecord(m) => {
            let kind = if matches!(why, Why::Record(_)) { "record" } else { "shipped record" };
            let next = m.runner_up.as_deref().map(|name| format!("; next {}", beside(name, m.runner_up_ns)));
            let one = if m.batch == batch { "" } else { " by that of one picture" };
            format!("{kind}: {}{one}{}", us(m.ns), next.unwrap_or_default())
        }
        Why::Shared { ns, faster, gain_ns, compile_ns } => {
            format!("shared: {}; {faster} would gain {} a run for {:.0} ms of compiling", us(*ns), us(*gain_ns), compile_ns / 1e6)
        }
        Why::CostModel { ns, runner_up, runner_up_ns } => {
            format!("cost model: {}; next {}", us(*ns), beside(runner_up, Some(*runner_up_ns)))
        }
    }
}

fn totals(out: &mut Output, plan: &Plan) -> Outcome<()> {
    let slots: Vec<String> = plan.slots.iter().map(|b| bytes(*b)).collect();
    let types = if plan.precision == Precision::F32 { "f32" } else { "f16" };
    out.line(out.bold("Totals"))?;
    let passes = plan.passes(plan.batch);
    let parts = if passes > 1 { format!(", {} in each of {passes} passes", plan.steps.len()) } else { String::new() };
    out.line(format!("  dispatches    {}{parts}", plan.dispatches()))?;
    out.line(format!("  MACs          {}", count(plan.macs())))?;
    out.line(format!("  weights       {} in {types}", bytes(plan.weight_bytes())))?;
    out.line(format!(
        "  activations   {} in {} slots ({}); the largest live set is {}",
        bytes(plan.activation_bytes()),
        plan.slots.len(),
        slots.join(", "),
        bytes(plan.live_bytes)
    ))?;
    let outputs: Vec<String> = plan.outputs.iter().map(|o| format!("{} {} in slot {}", o.node, o.shape, o.slot)).collect();
    out.line(format!("  upload        {} a batch", bytes(plan.input_bytes(plan.batch))))?;
    out.line(format!("  outputs       {}", outputs.join(", ")))
}
