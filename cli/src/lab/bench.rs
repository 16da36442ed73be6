//! The bench itself, as `run` and `sweep` use it: our kernels in this process, the user's in a child.

use super::table::NOT_HERE;
use super::worker::{self, Ended, Job};
use super::{memory, op, read, roof};
use crate::failure::{Failure, Outcome, tell};
use crate::interrupt;
use crate::model;
use crate::options::{DeviceOptions, ModelOptions};
use mobilenet_wgpu::engine::Engine;
use mobilenet_wgpu::kernel::{Case, OpKind, Precision, Variant, variants};
use mobilenet_wgpu::lab::{Entry, Here, LayerCase, Roof, UserKernel, case_of_shape, confined, counting, model_cases};
use mobilenet_wgpu::measure::{self, CandidateResult, CaseResult, KernelOptions, Stopwatch, Verdict};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A case by its shape.
#[derive(clap::Args, Clone, Debug)]
pub struct ShapeOptions {
    /// Shape of the input and output channels: HxWxCINxCOUT [default: 14x14x96x96]
    #[arg(long, value_name = "HxWxCINxCOUT")]
    pub shape: Option<super::shape::Dimensions>,
    /// Stride of ops with filters
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=8))]
    pub stride: u32,
    /// Hidden channels of an inverted residual, in parts of its input's
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub expansion: u32,
    /// Pictures at a time
    #[arg(long, short, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub batch: u32,
}

impl ShapeOptions {
    /// The case of an op.
    pub fn case(&self, op: OpKind) -> Case {
        let shape = self.shape.map_or([14, 14, 96, 96], |shape| shape.0);
        case_of_shape(op, shape, self.stride, self.batch, self.expansion)
    }
}

/// Which cases.
#[derive(clap::Args, Clone, Debug)]
pub struct CaseOptions {
    /// The op, as `lab list` names it
    #[arg(value_parser = op)]
    pub op: Option<OpKind>,
    #[command(flatten)]
    pub shape: ShapeOptions,
    /// One layer of --model instead of a shape
    #[arg(long, value_name = "NODE", conflicts_with_all = ["all", "shape", "stride", "expansion"])]
    pub layer: Option<String>,
    /// All distinct layers of --model (of the op, if one is named)
    #[arg(long, conflicts_with_all = ["shape", "stride", "expansion"])]
    pub all: bool,
    #[command(flatten)]
    pub model: ModelOptions,
}

impl CaseOptions {
    /// The cases, named after their layers where they are a model's; of `own`'s op where no op is named.
    pub fn cases(&self, own: Option<&Own>, wanted: &[String]) -> Outcome<Vec<LayerCase>> {
        let op = self.op.or(own.map(|own| own.op));
        let cases = if self.all || self.layer.is_some() {
            let (model, _) = model::load(&self.model)?;
            model_cases(&model.graph(None)?, self.layer.as_deref(), op, self.shape.batch)?
        } else {
            if self.model.model.is_some() {
                return Err(Failure::new("--model: say which of its layers\nnext: --layer NODE, or --all"));
            }
            let op = op.ok_or_else(|| Failure::new("name an op, such as `pointwise`, or use --layer or --all with --model"))?;
            vec![LayerCase::alone(self.shape.case(op))]
        };
        wanted.iter().try_for_each(|name| known(name, &cases))?;
        Ok(cases)
    }
}

/// An error for a name that no kernel of ours has for any of the cases.
fn known(name: &str, cases: &[LayerCase]) -> Outcome<()> {
    let table = variants();
    let of_cases = |v: &&Variant| cases.iter().any(|c| c.case.op == v.op);
    if table.iter().filter(of_cases).any(|v| v.name == name) {
        return Ok(());
    }
    let there: Vec<String> = table.iter().filter(of_cases).map(|v| format!("{}/{}", v.op, v.name)).collect();
    Err(Failure::new(format!("--variant {name}: there is no such kernel of ours for what is measured; there are {}", there.join(", "))))
}

/// A kernel of the user's.
#[derive(clap::Args, Clone, Debug)]
pub struct OwnOptions {
    /// A kernel of your own beside them
    #[arg(long, value_name = "FILE")]
    pub wgsl: Option<PathBuf>,
    /// Values to try for an `override` of it: NAME=V,V…
    #[arg(long, value_name = "NAME=V,V…", requires = "wgsl", value_parser = parameter)]
    pub param: Vec<(String, Vec<f64>)>,
    /// How it is dispatched, such as "ceil(out_c4, 8), ceil(pixels, 32)"
    #[arg(long, value_name = "EXPRESSIONS", requires = "wgsl")]
    pub workgroups: Option<String>,
    /// Check it at the shape alone, and not at odd ones too: for a kernel that is written for a shape
    #[arg(long, requires = "wgsl")]
    pub only_shape: bool,
}

fn parameter(text: &str) -> Result<(String, Vec<f64>), String> {
    let (name, values) = text.split_once('=').ok_or("expected NAME=VALUE,VALUE…")?;
    let values: Result<Vec<f64>, _> = values.split(',').map(|v| v.trim().parse()).collect();
    let values = values.ok().filter(|values| values.iter().all(|v| v.is_finite()));
    Ok((name.trim().to_string(), values.ok_or("expected numbers with commas behind `=`")?))
}

/// The user's file, read and held against the contract.
pub struct Own {
    pub op: OpKind,
    file: String,
    source: String,
    odd: bool,
    pub variants: Vec<Variant>,
}

impl OwnOptions {
    /// Reads the file, if there is one: for the op that is named, else the one that the file names.
    pub fn read(&self, op: Option<OpKind>) -> Outcome<Option<Own>> {
        let Some(path) = &self.wgsl else { return Ok(None) };
        let (file, source) = (path.display().to_string(), read(path)?);
        let op = op.or_else(|| UserKernel::op_named_in(&source));
        let op =
            op.ok_or_else(|| Failure::new(format!("{file}: name the op that it computes, or write it there: `// lab: op = pointwise`")))?;
        let kernel = UserKernel::read(op, &file, &source, self.workgroups.as_deref(), &self.param)?;
        Ok(Some(Own { op, file, source, odd: !self.only_shape, variants: kernel.variants()? }))
    }
}

/// Why a candidate was not begun.
const NO_TIME: &str = "no time was left";

/// How much time there is for how much.
#[derive(Clone, Copy)]
pub struct Effort {
    pub rounds: u32,
    pub cold: bool,
    /// No candidate is begun after it.
    pub budget: Duration,
}

/// Measures cases.
pub struct Bench {
    pub engine: Engine,
    watch: Stopwatch,
    pub precision: Precision,
    pub roof: Option<Roof>,
    /// Names of our kernels that are wished for; all if there are none.
    wanted: Vec<String>,
    device: DeviceOptions,
}

impl Bench {
    /// Opens the adapter. The roof is measured if it is not on record and `with_roof`.
    pub fn open(device: &DeviceOptions, wanted: &[String], with_roof: bool) -> Outcome<Self> {
        if device.cpu {
            return Err(Failure::new("the lab is about kernels and needs a GPU, if only a software one\nnext: leave --cpu out"));
        }
        if !device.kernels.is_empty() {
            return Err(Failure::new("--use is for whole networks\nnext: --wgsl FILE"));
        }
        let engine = Engine::open(&device.adapter_options())?;
        let precision = device.precision.on(Some(engine.profile()))?;
        let watch = Stopwatch::new(engine.device(), engine.queue())?;
        let roof = match roof::known(&engine) {
            None if with_roof => {
                tell("note: measuring once what this adapter can do at the most (some seconds; `lab roof` shows it)");
                Some(roof::measured(&engine, &watch)?)
            }
            known => known,
        };
        Ok(Self { engine, watch, precision, roof, wanted: wanted.to_vec(), device: device.clone() })
    }

    /// Our kernels of an op.
    pub fn ours(&self, op: OpKind) -> Vec<&Variant> {
        let wanted = |v: &&Variant| v.op == op && (self.wanted.is_empty() || self.wanted.iter().any(|name| *name == v.name));
        self.engine.variants().iter().filter(wanted).collect()
    }

    /// A case with our kernels and the user's.
    pub fn measure(&self, case: &Case, own: Option<&Own>, effort: Effort) -> Outcome<Entry> {
        let ours = self.ours(case.op);
        let own = own.filter(|own| own.op == case.op);
        let labels: Vec<&Variant> = own.map(|own| own.variants.iter().collect()).unwrap_or_default();
        self.measure_these(case, &ours, own, &labels, effort)
    }

    /// A case with some of our kernels and some combinations of the user's parameters.
    pub fn measure_these(&self, case: &Case, ours: &[&Variant], own: Option<&Own>, labels: &[&Variant], effort: Effort) -> Outcome<Entry> {
        measure::fits(case, self.precision, self.engine.profile())?;
        memory::fits(case)?;
        // Kernels that somebody named: of those it is told why they are not here.
        let named = ours.iter().filter(|_| !self.wanted.is_empty()).chain(labels).copied();
        let apart: Vec<_> = named.filter_map(|v| Some(self.unmeasured(case, v, Verdict::Skipped(self.why_not(case, v)?)))).collect();
        let [here, users] = [ours, labels].map(|all| all.iter().copied().filter(|v| self.why_not(case, v).is_none()).collect::<Vec<_>>());
        let mut result = match own {
            Some(own) if !users.is_empty() => self.in_child(case, &here, own, &users, effort)?,
            _ if here.is_empty() && !labels.is_empty() => self.nothing(case),
            _ => self.measure_here(case, ours, effort)?,
        };
        result.candidates.extend(apart);
        let entry = Entry::new(self.engine.profile(), result, self.roof.as_ref());
        Ok(Entry { command: command(), ..entry.with_sources(own.map_or(&[], |own| &own.variants)) })
    }

    /// Why a kernel does not apply to a case; `None` for one that does.
    pub fn why_not(&self, case: &Case, variant: &Variant) -> Option<String> {
        let why = variant.check(case, self.precision, self.engine.profile()).err()?;
        Some(format!("{NOT_HERE}: {why}"))
    }

    /// The library's own bench, for our kernels alone.
    pub fn here(&self) -> Here<'_> {
        Here { engine: &self.engine, watch: &self.watch, precision: self.precision, roof: self.roof.as_ref() }
    }

    fn measure_here(&self, case: &Case, ours: &[&Variant], effort: Effort) -> Outcome<CaseResult> {
        let Effort { rounds, cold, budget } = effort;
        let options = KernelOptions {
            rounds,
            checks: 6,
            cold,
            budget: Some(budget),
            counting: Some(counting),
            confined: Some(confined),
            ..KernelOptions::default()
        };
        Ok(measure::kernels(&self.engine, &self.watch, case, self.precision, ours, &options)?)
    }

    /// Measures in a child. A candidate that does not come back is left out of the next attempt; when too much time has
    /// gone that way, ours are measured here without the user's.
    fn in_child(&self, case: &Case, ours: &[&Variant], own: &Own, labels: &[&Variant], effort: Effort) -> Outcome<CaseResult> {
        let (start, mut lost) = (Instant::now(), Vec::new());
        let (mut ours, mut left) = (ours.to_vec(), labels.to_vec());
        let mut result = loop {
            let seconds = effort.budget.saturating_sub(start.elapsed()).as_secs_f64();
            if left.is_empty() || !lost.is_empty() && seconds < 0.2 * effort.budget.as_secs_f64() {
                let skipped = Verdict::Skipped("another kernel, which failed, took the time".into());
                lost.extend(left.iter().map(|v| self.unmeasured(case, v, skipped.clone())));
                if ours.is_empty() {
                    break self.nothing(case);
                }
                break self.measure_here(case, &ours, Effort { budget: Duration::from_secs_f64(seconds.max(1.0)), ..effort })?;
            }
            let job = self.job(case, &ours, own, &left, 0.9 * seconds, effort);
            let patience = (effort.budget / 4).clamp(Duration::from_secs(2), Duration::from_secs(60));
            // What is begun in time may end: compilers take theirs.
            let limit = Duration::from_secs_f64(job.budget + (0.3 * job.budget).clamp(4.0, 30.0).max(patience.as_secs_f64()));
            let (at, why) = match worker::supervise(&job, limit, patience)? {
                Ended::Well(result) => break *result,
                Ended::Refused(Some(at), why) | Ended::Badly(Some(at), why) => (at, why),
                Ended::Refused(None, why) | Ended::Badly(None, why) => return Err(Failure::new(why)),
                Ended::Late => {
                    let skipped = Verdict::Skipped(NO_TIME.into());
                    lost.extend(left.drain(..).map(|v| self.unmeasured(case, v, skipped.clone())));
                    continue;
                }
            };
            if interrupt::asked() {
                return Err(Failure::new(format!("stopped at {at}, of which nothing is kept: {why}")));
            }
            tell(&format!("note: {at}: {why}; measuring the others"));
            let guilty = |v: &&&Variant| *v.name == at;
            lost.extend(ours.iter().chain(&left).filter(guilty).map(|v| self.unmeasured(case, v, Verdict::Failed(why.clone()))));
            ours.retain(|v| v.name != at);
            left.retain(|v| v.name != at);
        };
        result.candidates.extend(lost);
        Ok(result)
    }

    /// The result of a kernel that was not measured, or not to the end.
    fn unmeasured(&self, case: &Case, variant: &Variant, verdict: Verdict) -> CandidateResult {
        CandidateResult::new(variant, variant.dispatch(case, self.engine.profile()).workgroups, verdict)
    }

    fn nothing(&self, case: &Case) -> CaseResult {
        CaseResult { case: *case, precision: self.precision, clock: self.watch.clock(), candidates: Vec::new() }
    }

    fn job(&self, case: &Case, ours: &[&Variant], own: &Own, left: &[&Variant], budget: f64, effort: Effort) -> Job {
        // The file is read once: what is measured is what was held against the contract, with all its parameters.
        let parameters = left.iter().flat_map(|v| &v.parameters).fold(Vec::<(String, Vec<f64>)>::new(), |mut all, (name, value)| {
            match all.iter_mut().find(|(n, _)| n == name) {
                Some((_, values)) if values.contains(value) => {}
                Some((_, values)) => values.push(*value),
                None => all.push((name.clone(), vec![*value])),
            }
            all
        });
        Job {
            adapter: self.device.adapter.clone(),
            backend: self.device.backend.clone(),
            case: *case,
            precision: self.precision,
            variants: ours.iter().map(|v| v.name.to_string()).collect(),
            file: own.file.clone(),
            source: own.source.clone(),
            workgroups: own.variants.first().and_then(|v| v.workgroups.as_ref()).map(ToString::to_string),
            parameters,
            own: left.iter().map(|v| v.name.to_string()).collect(),
            rounds: effort.rounds,
            checks: 6,
            odd: own.odd,
            cold: effort.cold,
            budget,
        }
    }
}

/// This process's command, as one line.
pub fn command() -> String {
    let quoted = |word: String| if word.contains([' ', '"', '$', '*', '(']) { format!("'{word}'") } else { word };
    let words: Vec<String> = std::env::args().skip(1).map(quoted).collect();
    format!("mobilenet {}", words.join(" "))
}
