//! What computes: a GPU, or the CPU where there is none or it was asked for. One place decides, and says so.

use crate::failure::{Failure, Outcome, Status, tell};
use crate::options::DeviceOptions;
use crate::own::Kernels;
use crate::pipelines::Kept;
use mobilenet_wgpu::engine::{Engine, Input, Session, SessionOptions};
use mobilenet_wgpu::gpu::DeviceClass;
use mobilenet_wgpu::kernel::Variant;
use mobilenet_wgpu::lab::Agreement;
use mobilenet_wgpu::plan::Preference;
use mobilenet_wgpu::{Classifier, Error, Model};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// A GPU's engine, or the CPU.
pub struct Backend {
    engine: Option<Engine>,
    /// Compiled pipelines of earlier starts; what this one adds is kept when it goes.
    _kept: Option<Kept>,
    own: Kernels,
    /// Whether results with the user's kernels differ from the reference.
    differs: Cell<bool>,
    /// Time that went into looking after them.
    checking: Cell<Duration>,
}

/// The GPU that the options ask for, with the user's kernels.
pub fn engine(options: &DeviceOptions, own: &Kernels) -> Outcome<Engine> {
    own.on(Engine::open(&options.adapter_options())?)
}

/// Opens what the options ask for; without a wish and without an adapter the CPU stands in, which standard error is told.
pub fn open(options: &DeviceOptions) -> Outcome<Backend> {
    // Read before anything is opened: mistakes in the files are told at once.
    let own = Kernels::read(options)?;
    let backend = |engine: Option<Engine>, own| {
        let kept = engine.as_ref().and_then(Kept::on);
        Backend { engine, _kept: kept, own, differs: Cell::new(false), checking: Cell::default() }
    };
    if options.cpu {
        return Ok(backend(None, own));
    }
    match Engine::open(&options.adapter_options()) {
        Ok(engine) => Ok(backend(Some(own.on(engine)?), own)),
        Err(Error::NoAdapter(why)) if options.fallback() => {
            tell(&format!("note: computing on the CPU, as no GPU can be used: {why}"));
            Ok(backend(None, own))
        }
        Err(error) => Err(error.into()),
    }
}

/// What `--precision` and `--tuning` mean on an engine.
pub fn asked(options: &DeviceOptions, engine: &Engine, session: &mut SessionOptions) -> Outcome<()> {
    session.precision = options.precision.on(Some(engine.profile()))?;
    session.tuning = crate::tuning::asked(options.tuning.as_deref(), engine.profile())?;
    Ok(())
}

impl Backend {
    /// A session of a model on the GPU, in the precision and with the kernels that the options ask for.
    pub fn session(&self, model: &Model, device: &DeviceOptions, mut session: SessionOptions) -> Outcome<Session> {
        let missing = || Failure::new("this is about kernels and needs a GPU, if only a software one\nnext: `mobilenet adapters`");
        let engine = self.engine.as_ref().ok_or_else(missing)?;
        asked(device, engine, &mut session)?;
        session.prefer.extend(self.own.prefer());
        let mut made = engine.session(model, &session)?;
        if !self.own.is_empty() {
            let plan = made.plan().clone();
            let start = Instant::now();
            self.held(self.own.check(device, model, &session, &plan, engine.profile(), |input| made.run(Input::Tensor(input)))?, start);
        }
        Ok(made)
    }

    /// A model made ready here, in the precision that the options ask for.
    pub fn classifier(&self, model: &Model, device: &DeviceOptions, mut session: SessionOptions) -> Outcome<Classifier> {
        let mut classifier = match &self.engine {
            Some(engine) => {
                asked(device, engine, &mut session)?;
                session.prefer.extend(self.own.prefer());
                Classifier::with_engine(engine, model.clone(), &session)?
            }
            None => {
                session.precision = device.precision.on(None)?;
                Classifier::on_cpu(model.clone(), &session)?
            }
        };
        if let (false, Some((plan, engine))) = (self.own.is_empty(), classifier.session().map(|s| (s.plan().clone(), s.engine().clone()))) {
            let start = Instant::now();
            self.held(self.own.check(device, model, &session, &plan, engine.profile(), |input| classifier.run(input))?, start);
        }
        Ok(classifier)
    }

    fn held(&self, agreement: Agreement, since: Instant) {
        self.checking.set(self.checking.get() + since.elapsed());
        self.differs.set(self.differs.get() || !agreement.agrees);
    }

    /// Time that went into trying and checking the user's kernels, which is no part of a first result.
    pub fn checking(&self) -> Duration {
        self.checking.get()
    }

    /// How a command ends that went well but for what the user's kernels did.
    pub fn status(&self) -> Status {
        if self.differs.get() { Status::SomeFailed } else { Status::Good }
    }

    /// The user's kernels.
    pub fn own_kernels(&self) -> &[Variant] {
        self.own.variants()
    }

    /// Whether there is such a kernel; the CPU has none to choose from.
    pub fn knows(&self, preference: &Preference) -> bool {
        let is = |v: &Variant| v.op == preference.op && v.name == preference.variant;
        self.engine.as_ref().is_none_or(|engine| engine.variants().iter().any(is))
    }

    /// How many pictures at a time are good here for `pictures` of them at a network's size, if nobody says. A real GPU wants
    /// to be filled; in software a batch spreads the cost of a dispatch, until its activations leave the caches.
    pub fn batch_for(&self, pictures: usize, [height, width]: [u32; 2]) -> u32 {
        let at_224 = match self.engine.as_ref().map(|e| e.profile().class) {
            None => return 1,
            Some(DeviceClass::Software) => 4,
            Some(DeviceClass::Mobile) => 8,
            Some(DeviceClass::Integrated) => 16,
            Some(DeviceClass::Discrete) => 32,
        };
        let same_work = at_224 * 224 * 224 / u64::from(height.saturating_mul(width)).max(1);
        same_work.clamp(1, (at_224 * 8).max(16)).min(pictures.max(1) as u64) as u32
    }
}
