//! What computes: a GPU, or the CPU where there is none or it was asked for. One place decides, and says so.

use crate::failure::{Failure, Outcome, tell};
use crate::options::DeviceOptions;
use mobilenet_wgpu::engine::{Engine, Session, SessionOptions};
use mobilenet_wgpu::gpu::DeviceClass;
use mobilenet_wgpu::{Classifier, Error, Model};

/// A GPU's engine, or the CPU.
pub struct Backend {
    engine: Option<Engine>,
}

/// Opens what the options ask for; without a wish and without an adapter the CPU stands in, which standard error is told.
pub fn open(options: &DeviceOptions) -> Outcome<Backend> {
    if options.cpu {
        return Ok(Backend { engine: None });
    }
    match Engine::open(&options.adapter_options()) {
        Ok(engine) => Ok(Backend { engine: Some(engine) }),
        Err(Error::NoAdapter(why)) if options.fallback() => {
            tell(&format!("note: computing on the CPU, as no GPU can be used: {why}"));
            Ok(Backend { engine: None })
        }
        Err(error) => Err(error.into()),
    }
}

impl Backend {
    /// A session of a model on the GPU, in the precision and with the kernels that the options ask for.
    pub fn session(&self, model: &Model, device: &DeviceOptions, mut session: SessionOptions) -> Outcome<Session> {
        let missing = || Failure::new("this is about kernels and needs a GPU, if only a software one\nnext: `mobilenet adapters`");
        let engine = self.engine.as_ref().ok_or_else(missing)?;
        session.precision = device.precision.on(Some(engine.profile()))?;
        session.tuning = crate::tuning::asked(device.tuning.as_deref(), engine.profile())?;
        Ok(engine.session(model, &session)?)
    }

    /// A model made ready here, in the precision that the options ask for.
    pub fn classifier(&self, model: &Model, device: &DeviceOptions, mut session: SessionOptions) -> Outcome<Classifier> {
        session.precision = device.precision.on(self.engine.as_ref().map(Engine::profile))?;
        if let Some(engine) = &self.engine {
            session.tuning = crate::tuning::asked(device.tuning.as_deref(), engine.profile())?;
        }
        let classifier = match &self.engine {
            Some(engine) => Classifier::with_engine(engine, model.clone(), &session),
            None => Classifier::on_cpu(model.clone(), &session),
        };
        classifier.map_err(Failure::from)
    }

    /// How many pictures at a time are good here for `pictures` of them at a network's size, if nobody says. A real GPU wants
    /// to be filled; in software a batch only spreads the cost of a dispatch, which counts for small networks.
    pub fn batch_for(&self, pictures: usize, [height, width]: [u32; 2]) -> u32 {
        let at_224 = match self.engine.as_ref().map(|e| e.profile().class) {
            None => return 1,
            Some(DeviceClass::Software) => 1,
            Some(DeviceClass::Mobile) => 8,
            Some(DeviceClass::Integrated) => 16,
            Some(DeviceClass::Discrete) => 32,
        };
        let same_work = at_224 * 224 * 224 / u64::from(height.saturating_mul(width)).max(1);
        same_work.clamp(1, (at_224 * 8).max(16)).min(pictures.max(1) as u64) as u32
    }
}
