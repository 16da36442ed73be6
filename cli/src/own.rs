//! `--use`: kernels of the user's in a whole network, and whether its results are still right.

use crate::failure::{Failure, Outcome, tell};
use crate::options::DeviceOptions;
use mobilenet_wgpu::engine::{Engine, Outputs, SessionOptions};
use mobilenet_wgpu::graph::Shape;
use mobilenet_wgpu::kernel::{OpKind, Precision, Variant};
use mobilenet_wgpu::lab::{Agreement, UserKernel};
use mobilenet_wgpu::plan::{Plan, Preference};
use mobilenet_wgpu::{Classifier, Model, Tensor};

/// The kernels that `--use` names.
#[derive(Clone, Debug, Default)]
pub struct Kernels {
    variants: Vec<Variant>,
}

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
            // Of several values of its parameters the first are taken.
            variants.extend(UserKernel::read(op, file, &source, None, &[])?.variants()?.into_iter().next());
        }
        Ok(Self { variants })
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

    /// Runs the network and the reference on the same values, and tells how they agree and where the kernels run.
    pub fn check(
        &self,
        model: &Model,
        options: &SessionOptions,
        plan: &Plan,
        mut run: impl FnMut(&Tensor) -> mobilenet_wgpu::Result<Outputs>,
    ) -> Outcome<Agreement> {
        let shape = Shape::new(plan.input.height, plan.input.width, plan.input.channels);
        let value = |i: u64| ((i.wrapping_mul(2_654_435_761) >> 7) % 2048) as f32 / 1024.0 - 1.0;
        let input = Tensor::from_nhwc(1, shape, (0..shape.elements()).map(value).collect())?;
        let reference = SessionOptions { precision: Precision::F32, batch: 1, prefer: Vec::new(), ..options.clone() };
        let right = Classifier::on_cpu(model.clone(), &reference)?.run(&input)?;
        let Agreement { difference, agrees } = Agreement::of(&run(&input)?, &right, plan.precision);
        for variant in &self.variants {
            let taken = plan.steps.iter().filter(|s| s.case.op == variant.op && s.variant == variant.name).count();
            let of = plan.steps.iter().filter(|s| s.case.op == variant.op).count();
            tell(&format!("note: {} computes {taken} of {of} {} steps", variant.file, variant.op));
        }
        let word = if agrees { "note: the results agree with the reference" } else { "warning: the results DIFFER from the reference" };
        let next = if agrees { "" } else { "\nnext: mobilenet lab run --all --wgsl FILE finds the layer" };
        tell(&format!("{word}: by {difference:.1e} of its largest value{next}"));
        Ok(Agreement { difference, agrees })
    }
}
