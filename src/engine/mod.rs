//! Running a plan on a device.
//!
//! An [`Engine`] is a device with its kernels; a [`Session`] is a network compiled on it for one size and batch. A run is
//! recorded into an encoder, submitted, and waited for through its [`Pending`]; `run` does the three in one.

#[cfg(not(target_arch = "wasm32"))]
mod alarm;
mod cache;
mod encode;
mod input;
mod loss;
mod pending;
pub(crate) mod pipelines;
mod place;
mod program;
mod session;

pub use encode::Sliced;
pub use input::Input;
pub use pending::{OutputLayout, Outputs, Pending};
pub use session::{Session, SessionOptions};

use crate::gpu::{self, AdapterOptions, DeviceProfile};
use crate::kernel::{self, Precision, Variant};
use crate::plan::Weight;
use crate::{Error, Result};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

/// A device with the table of kernels; cheap to clone, shared by all threads.
#[derive(Clone, Debug)]
pub struct Engine {
    shared: Arc<Shared>,
}

/// What an engine has made since the beginning; what counts is that the numbers stand still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Pipelines, those of the preprocessing among them.
    pub pipelines: u64,
    /// Bind groups of the network's steps. Those of inputs are counted by [`Session::input_bind_groups_made`].
    pub bind_groups: u64,
}

#[derive(Debug)]
struct Shared {
    device: wgpu::Device,
    queue: wgpu::Queue,
    profile: DeviceProfile,
    variants: Vec<Variant>,
    pipelines: pipelines::Pipelines,
    made: Mutex<Made>,
    /// Weights in use, by owner, expression, packing and type; sessions of one model share them.
    weights: Mutex<HashMap<WeightKey, Weak<wgpu::Buffer>>>,
    /// Shared by all engines on the device that come from one.
    loss: Arc<loss::Loss>,
    /// Where a software driver works on bound threads; shared as well.
    awake: Option<Arc<gpu::Awake>>,
    #[cfg(not(target_arch = "wasm32"))]
    alarm: Arc<alarm::Alarm>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct WeightKey {
    owner: usize,
    param: String,
    packing: kernel::Packing,
    half: bool,
}

impl Engine {
    /// An engine on a device of our own, on the adapter that `options` asks for.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] if none fits; [`Error::Device`] if it cannot be opened.
    pub async fn request(options: &AdapterOptions) -> Result<Self> {
        let (device, queue, awake) = gpu::open(options).await?;
        let engine = Self::build(device, queue, kernel::variants(), Arc::default(), awake.map(Arc::new))?;
        // Our device, so its one lost-callback is ours.
        let notice = engine.shared.loss.notice();
        engine.shared.device.set_device_lost_callback(move |reason, message| notice(format!("{reason:?}: {message}")));
        Ok(engine)
    }

    /// [`Engine::request`], waiting.
    ///
    /// # Errors
    /// As [`Engine::request`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(options: &AdapterOptions) -> Result<Self> {
        pollster::block_on(Self::request(options))
    }

    /// The features and limits that a device must have: none and little. [`Engine::new`] refuses one that has less.
    pub fn required() -> (wgpu::Features, wgpu::Limits) {
        gpu::required()
    }

    /// The features and limits that an engine would like of a device on `adapter`, all of them there: enough for
    /// [`wgpu::DeviceDescriptor`] as they are, or added to the application's own
    /// (`features | own`, [`limits.or_better_values_from(&own)`](wgpu::Limits::or_better_values_from)).
    pub fn wanted(adapter: &wgpu::Adapter) -> (wgpu::Features, wgpu::Limits) {
        gpu::wanted(adapter)
    }

    /// An engine on the caller's device. No callback of the device is taken; its loss is seen by a failed read-back, or
    /// told by [`Engine::notify_lost`].
    ///
    /// # Errors
    /// [`Error::Limit`] if a limit of the device is below [`Engine::required`].
    pub fn new(device: wgpu::Device, queue: wgpu::Queue) -> Result<Self> {
        Self::with_variants(device, queue, kernel::variants())
    }

    /// An engine with another table of kernels, for instance with a user's own among them.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn with_variants(device: wgpu::Device, queue: wgpu::Queue, variants: Vec<Variant>) -> Result<Self> {
        Self::build(device, queue, variants, Arc::default(), None)
    }

    /// An engine on the same device with further kernels behind ours, for instance a user's own; pipelines and weights are
    /// its own. Plans take a kernel wherever it applies if [`SessionOptions::prefer`] names it.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn with_more(&self, more: Vec<Variant>) -> Result<Self> {
        let Shared { device, queue, variants, loss, awake, .. } = &*self.shared;
        Self::build(device.clone(), queue.clone(), [variants, &*more].concat(), loss.clone(), awake.clone())
    }

    fn build(
        device: wgpu::Device,
        queue: wgpu::Queue,
        variants: Vec<Variant>,
        loss: Arc<loss::Loss>,
        awake: Option<Arc<gpu::Awake>>,
    ) -> Result<Self> {
        if let Some((limit, needed, available)) = gpu::lacking(&device.limits()) {
            let hint = "open the device with at least the limits of Engine::required, better those of Engine::wanted".into();
            return Err(Error::Limit { node: "any convolution".into(), limit, needed, available, hint });
        }
        let profile = DeviceProfile::of(&device);
        let pipelines = pipelines::Pipelines::default();
        let (weights, made) = Default::default();
        let shared = Shared {
            device,
            queue,
            profile,
            variants,
            pipelines,
            made,
            weights,
            loss,
            awake,
            #[cfg(not(target_arch = "wasm32"))]
            alarm: Arc::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The device.
    pub fn device(&self) -> &wgpu::Device {
        &self.shared.device
    }
    /// The queue.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.shared.queue
    }
    /// What plans have to know of the device.
    pub fn profile(&self) -> &DeviceProfile {
        &self.shared.profile
    }
    /// The table of kernels.
    pub fn variants(&self) -> &[Variant] {
        &self.shared.variants
    }
    /// What was made on this engine until now.
    pub fn made(&self) -> Made {
        *lock(&self.shared.made)
    }
    /// Tells the engine that its device is lost (for guests, whose lost-callback is their own), and those who wait for it.
    pub fn notify_lost(&self) {
        let _ = self.shared.loss.set("the application said so".into());
    }
    /// Whether the device is known to be lost.
    pub fn is_lost(&self) -> bool {
        self.shared.loss.error().is_some()
    }

    fn check_alive(&self) -> Result<()> {
        self.shared.loss.error().map_or(Ok(()), Err)
    }

    /// The error of a failed operation: the device's loss, if it is known.
    pub(crate) fn failure(&self, error: Error) -> Error {
        self.shared.loss.error().unwrap_or(error)
    }

    /// A parameter on the GPU: found, or made by `values` and uploaded.
    fn weight(
        &self,
        owner: usize,
        weight: &Weight,
        precision: Precision,
        values: impl FnOnce() -> Result<Vec<f32>>,
    ) -> Result<Arc<wgpu::Buffer>> {
        let key = WeightKey { owner, param: weight.param.to_string(), packing: weight.packing, half: precision.needs_f16() };
        if let Some(buffer) = lock(&self.shared.weights).get(&key).and_then(Weak::upgrade) {
            return Ok(buffer);
        }
        let values = values()?;
        let expected = weight.shape.elements();
        if values.len() as u64 != expected {
            let message = format!("expected {expected} values for {:?}, found {}", weight.shape, values.len());
            return Err(Error::Tensor { name: weight.param.to_string(), message });
        }
        let packed = kernel::pack(&values, weight.shape, weight.packing, precision);
        let buffer = Arc::new(pipelines::weights_buffer(&self.shared.device, &self.shared.queue, &key.param, &packed)?);
        let mut weights = lock(&self.shared.weights);
        weights.retain(|_, b| b.strong_count() > 0);
        weights.insert(key, Arc::downgrade(&buffer));
        Ok(buffer)
    }
}

/// A lock that survives a panic elsewhere: our data under locks is valid at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
