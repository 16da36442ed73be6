//! `bench --compare A B`: two settings, run in turn.

use super::values;
use crate::backend::Backend;
use crate::failure::{Failure, Outcome, tell};
use crate::options::{DeviceOptions, PrecisionName};
use crate::output::Output;
use clap::ValueEnum;
use mobilenet_wgpu::Model;
use mobilenet_wgpu::engine::{Input, Session, SessionOptions};
use mobilenet_wgpu::kernel::OpKind;
use mobilenet_wgpu::measure::{self, Ratio, RunOptions};
use mobilenet_wgpu::plan::Preference;
use serde_json::json;

/// Measures both, writes times, ratio and whether it is more than noise.
pub fn run(
    backend: &Backend,
    model: &Model,
    device: &DeviceOptions,
    base: &SessionOptions,
    settings: [&str; 2],
    options: &RunOptions,
    json: bool,
) -> Outcome<()> {
    if options.runs < FEWEST {
        return Err(Failure::new(format!("--compare: {} pairs say nothing of a median\nnext: --runs {FEWEST} or more", options.runs)));
    }
    let mut sessions = Vec::new();
    for setting in settings {
        let (device, session) = apply(setting, device, base)?;
        if let Some(unknown) = session.prefer.iter().find(|p| !backend.knows(p)) {
            let why = format!("--compare: there is no kernel {}/{}", unknown.op, unknown.variant);
            return Err(Failure::new(format!("{why}\nnext: `mobilenet lab list` names them")));
        }
        sessions.push(backend.session(model, &device, session)?);
    }
    let size = |session: &Session| [session.plan().input.height, session.plan().input.width];
    let inputs = sessions.iter().map(|s| values(s.max_batch(), size(s))).collect::<Outcome<Vec<_>>>()?;
    let [a, b] = sessions.as_mut_slice() else { return Err(Failure::new("--compare: expected two settings")) };
    let found = measure::compare((a, Input::Tensor(&inputs[0])), (b, Input::Tensor(&inputs[1])), options)?;
    if found.a.runs < FEWEST {
        tell(&format!("note: {} pairs within the budget say nothing of a median", found.a.runs));
    }
    // Settings of two batches are compared by the picture.
    let pictures = f64::from(inputs[0].batch) / f64::from(inputs[1].batch);
    let ratio = Ratio::from(&found).scaled(pictures);
    let mut out = Output::new();
    if json {
        out.json_pretty(&json!({
            "a": {"settings": settings[0], "times": found.a},
            "b": {"settings": settings[1], "times": found.b},
            "ratio": ratio.ratio, "low": ratio.low, "high": ratio.high, "differs": ratio.differs(),
        }))?;
        return out.flush();
    }
    for (setting, l) in settings.iter().zip([&found.a, &found.b]) {
        let ms = |ns: f64| ns / 1e6;
        out.line(format!("{setting:<40} median {:9.3} ms   min {:9.3}   batch {}, {} runs", ms(l.median), ms(l.min), l.batch, l.runs))?;
    }
    out.line(ratio)?;
    out.flush()
}

/// Pairs below which no interval of their ratios holds the median with 95 %.
const FEWEST: u32 = 6;

const KEYS: &str = "precision=TYPE, tuning=FILE|shipped|none, prefer=OP/VARIANT, without=PASS, batch=N, micro-batch=N, runs=N";

/// `key=value` pairs with commas, over the options that both have.
fn apply(setting: &str, device: &DeviceOptions, base: &SessionOptions) -> Outcome<(DeviceOptions, SessionOptions)> {
    let (mut device, mut session) = (device.clone(), base.clone());
    for pair in setting.split(',').filter(|p| !p.trim().is_empty() && *p != "default") {
        let bad = |why: &str| Failure::new(format!("--compare: `{pair}`: {why}; settings are {KEYS}, with commas, or `default`"));
        let (key, value) = pair.trim().split_once('=').ok_or_else(|| bad("expected KEY=VALUE"))?;
        match key {
            "precision" => device.precision = PrecisionName::from_str(value, true).map_err(|e| bad(&e))?,
            "tuning" => device.tuning = Some(value.to_string()),
            "without" => session.without_passes.push(value.to_string()),
            "batch" => session.batch = value.parse().map_err(|_| bad("expected a number"))?,
            "micro-batch" => session.micro_batch = value.parse().map_err(|_| bad("expected a number"))?,
            "runs" => session.runs = value.parse().map_err(|_| bad("expected a number"))?,
            "prefer" => {
                let (op, variant) = value.split_once('/').ok_or_else(|| bad("expected OP/VARIANT"))?;
                let op = OpKind::named(op).ok_or_else(|| bad("there is no such op"))?;
                session.prefer.push(Preference { op, variant: variant.to_string() });
            }
            _ => return Err(bad("there is no such setting")),
        }
    }
    Ok((device, session))
}
