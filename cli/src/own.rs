//! `--use`: kernels of the user's in a whole network, and whether its results are still right.

use crate::failure::{Failure, Outcome, tell};
use crate::lab::worker::{self, Ended, Trial};
use crate::options::DeviceOptions;
use mobilenet_wgpu::engine::{Engine, Outputs, SessionOptions};
use mobilenet_wgpu::gpu::DeviceProfile;
use mobilenet_wgpu::graph::Shape;
use mobilenet_wgpu::kernel::{Case, OpKind, Precision, Variant};
use mobilenet_wgpu::lab::{Agreement, UserKernel};
use mobilenet_wgpu::plan::{Plan, Preference};
use mobilenet_wgpu::{Classifier, Model, Tensor};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

/// The kernels that `--use` names.
#[derive(Clone, Debug, Default)]
pub struct Kernels {
    variants: Vec<Variant>,
    /// What was tried already.
    tried: RefCell<Vec<(Case, Precision)>>,
}

/// What a layer may take in the trial, compiling included.
const PATIENCE: Duration = Duration::from_secs(10);

impl Kernels {
    /// Reads the files.
    pub fn read(options: &DeviceOptions) -> Outcome<Self> {
        let mut variants = Vec::new();
        for wish in &options.kernels {
            let named = wish.split_once('=').and_then(|(op, file)| Some((OpKind::named(op)?, file)));
            let file = named.map_or(wish.as_str(), |(_, file)| file);
            let source = std::fs::read_to_string(file).map_err(|e| Failure::new(format!("--use {file}: cannot be read: {e}")))?;
            let op = named.map(|(op, _)| op).or_else(|| UserKernel::op_named_in(&source));
            let op =
                op.ok_or_else(|| Failure::new(format!("--use {file}: say what it computes: OP={file}, or `// lab: op = OP` in it")))?;
            variants.extend(worker::first(op, file, &source)?);
        }
        Ok(Self { variants, tried: RefCell::default() })
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.variants.is_empty()
    }

    /// Themselves.
    pub fn variants(&self) -> &[Variant] {
        &self.variants
    }

    /// An engine that has them.
    pub fn on(&self, engine: Engine) -> Outcome<Engine> {
        if self.is_empty() { Ok(engine) } else { Ok(engine.with_more(self.variants.clone())?) }
    }

    /// Options with which a plan takes them.
    pub fn prefer(&self) -> impl Iterator<Item = Preference> + '_ {
        self.variants.iter().map(|v| Preference { op: v.op, variant: v.name.to_string() })
    }

    /// Has a child of this process dispatch them once for each of these layers: one that does not end ends there, and as an
    /// error of this command.
    pub fn attempt(&self, device: &DeviceOptions, precision: Precision, layers: impl Iterator<Item = (String, Case)>) -> Outcome<()> {
        let mut tried = self.tried.borrow_mut();
        let mut fresh = Vec::new();
        for (layer, case) in layers.filter(|(_, case)| self.variants.iter().any(|v| v.op == case.op)) {
            if !tried.contains(&(case, precision)) {
                tried.push((case, precision));
                fresh.push((layer, case));
            }
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let trial = Trial {
            adapter: device.adapter.clone(),
            backend: device.backend.clone(),
            precision,
            kernels: self.variants.iter().map(|v| (v.op, v.file.to_string(), v.source.to_string())).collect(),
            layers: fresh,
        };
        let (at, why) = match worker::supervise_trial(&trial, PATIENCE)? {
            Ended::Well(()) => return Ok(()),
            Ended::Refused(at, why) | Ended::Badly(at, why) => (at, why),
            Ended::Late => (None, "trying it at all its layers took too long".into()),
        };
        let of = |at: &String| trial.layers.iter().find(|(layer, _)| layer == at).map(|(_, case)| case.op);
        let file = at.as_ref().and_then(of).and_then(|op| self.variants.iter().find(|v| v.op == op)).map_or("--use", |v| &*v.file);
        let at = at.map(|at| format!("tried at {at}: ")).unwrap_or_default();
        Err(Failure::new(format!("{file}: {at}{why}\nnext: mobilenet lab run --all --wgsl FILE tells of each layer")))
    }

    /// Tells how many of a plan's steps take each kernel, and at which it does not apply and why.
    pub fn tell_taken(&self, plan: &Plan, profile: &DeviceProfile) {
        for variant in &self.variants {
            let steps: Vec<_> = plan.steps.iter().filter(|s| s.case.op == variant.op).collect();
            let taken = steps.iter().filter(|s| s.variant == variant.name).count();
            tell(&format!("note: {} computes {taken} of {} {} steps", variant.file, steps.len(), variant.op));
            let mut reasons = BTreeMap::<&str, Vec<&str>>::new();
            for step in steps {
                if let Err(why) = variant.check(&step.case, plan.precision, profile) {
                    reasons.entry(why).or_default().push(&step.node);
                }
            }
            for (why, nodes) in reasons {
                tell(&format!("note: {} does not apply to {}: {why}", variant.file, nodes.join(", ")));
            }
        }
    }

    /// [`Kernels::attempt`] for the steps of a plan that take them.
    pub fn attempt_plan(&self, device: &DeviceOptions, plan: &Plan) -> Outcome<()> {
        let takes = |s: &&mobilenet_wgpu::plan::Step| self.variants.iter().any(|v| v.op == s.case.op && v.name == s.variant);
        self.attempt(
            device,
            plan.precision,
            plan.steps.iter().filter(takes).map(|s| (format!("{} ({} {})", s.node, s.case.op, s.case), s.case)),
        )
    }

    /// Runs the network and the reference on the same values, and tells how they agree and where the kernels run.
    ///
    /// # Errors
    /// A kernel that does not end, or fails, in the child process where they are tried first.
    pub fn check(
        &self,
        device: &DeviceOptions,
        model: &Model,
        options: &SessionOptions,
        plan: &Plan,
        profile: &DeviceProfile,
        mut run: impl FnMut(&Tensor) -> mobilenet_wgpu::Result<Outputs>,
    ) -> Outcome<Agreement> {
        self.attempt_plan(device, plan)?;
        let shape = Shape::new(plan.input.height, plan.input.width, plan.input.channels);
        let value = |i: u64| ((i.wrapping_mul(2_654_435_761) >> 7) % 2048) as f32 / 1024.0 - 1.0;
        let input = Tensor::from_nhwc(1, shape, (0..shape.elements()).map(value).collect())?;
        let reference = SessionOptions { precision: Precision::F32, batch: 1, prefer: Vec::new(), ..options.clone() };
        let right = Classifier::on_cpu(model.clone(), &reference)?.run(&input)?;
        let Agreement { difference, agrees } = Agreement::of(&run(&input)?, &right, plan.precision);
        self.tell_taken(plan, profile);
        let word = if agrees { "note: the results agree with the reference" } else { "warning: the results DIFFER from the reference" };
        let next = if agrees { "" } else { "\nnext: mobilenet lab run --all --wgsl FILE finds the layer" };
        tell(&format!("{word}: by {difference:.1e} of its largest value{next}"));
        Ok(Agreement { difference, agrees })
    }
}
