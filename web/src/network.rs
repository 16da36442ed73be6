//! A loaded network, as JavaScript holds it.

use crate::bench;
use crate::errors::{to_js, with_code};
use crate::gpu::Gpu;
use crate::options::{Backend, Options};
use js_sys::{Array, Float32Array, Object, Promise, Reflect};
use mobilenet_wgpu::engine::{Engine, Input, Outputs, SessionOptions};
use mobilenet_wgpu::graph::Shape;
use mobilenet_wgpu::weights::Arriving;
use mobilenet_wgpu::{Classifier, Error, Model, Picture, Prediction, Tensor};
use serde_json::json;
use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};
use wasm_bindgen_futures::future_to_promise;

/// A model on a device, or on the CPU where there is none.
#[wasm_bindgen]
pub struct Network {
    inner: Rc<Inner>,
}

struct Inner {
    model: Model,
    options: SessionOptions,
    place: RefCell<Place>,
    /// Why it runs on the CPU although the GPU was wanted.
    note: Option<String>,
}

enum Place {
    Gpu(Box<Gpu>),
    Cpu(Box<Classifier>),
}

/// A promise of outputs: `{ name: { shape: [n, h, w, c], data: Float32Array } }`.
fn promise(running: Result<impl Future<Output = Result<Outputs, Error>> + 'static, JsValue>) -> Promise {
    future_to_promise(async move { outputs_to_js(&running?.await.map_err(|e| to_js(&e))?) })
}

/// What a future of the CPU gives: without threads it is done when it is first asked.
fn at_once(future: impl Future<Output = Result<Outputs, Error>>) -> Result<Outputs, Error> {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outputs) => outputs,
        Poll::Pending => Err(Error::Device("the CPU did not finish".into())),
    }
}

fn outputs_to_js(outputs: &Outputs) -> Result<JsValue, JsValue> {
    let object = Object::new();
    for (name, tensor) in &outputs.tensors {
        let Shape { height, width, channels } = tensor.shape;
        let shape: Array = [tensor.batch, height, width, channels].into_iter().map(JsValue::from).collect();
        let value = Object::new();
        Reflect::set(&value, &"shape".into(), &shape)?;
        Reflect::set(&value, &"data".into(), &Float32Array::from(tensor.data.as_slice()))?;
        Reflect::set(&object, &name.into(), &value)?;
    }
    Ok(object.into())
}

/// A checkpoint on its way in.
#[wasm_bindgen]
#[derive(Default)]
pub struct Incoming(Arriving);

#[wasm_bindgen]
impl Incoming {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// The promise of a [`Network`], prepared while bytes come in. `options` is JSON.
    pub fn network(&self, options: &str) -> Promise {
        let opening = Options::parse(options).map(|options| {
            let model = Model::arriving(&self.0, &options.name, &options.load());
            async move { Network::open(model, &options).await }
        });
        future_to_promise(async move { Ok(opening?.await?.into()) })
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), JsValue> {
        self.0.push(bytes).map_err(|e| to_js(&e))
    }

    /// Bytes in all, once it is known.
    pub fn length(&self) -> Option<f64> {
        self.0.length().map(|n| n as f64)
    }

    /// That was all.
    pub fn finish(&mut self) -> Result<(), JsValue> {
        self.0.finish().map_err(|e| to_js(&e))
    }
}

#[wasm_bindgen]
impl Network {
    /// What was loaded and where it runs, as JSON.
    pub fn info(&self) -> String {
        let model = &self.inner.model;
        let common = |backend: &str| {
            json!({
                "backend": backend,
                "note": self.inner.note,
                "recognition": model.recognition(),
                "outputs": self.inner.options.outputs,
            })
        };
        let mut info = match &*self.inner.place.borrow() {
            Place::Gpu(gpu) => {
                let mut info = common("webgpu");
                let plan = gpu.session.plan();
                info["size"] = json!([plan.input.height, plan.input.width]);
                info["device"] = json!(gpu.session.engine().profile());
                info["precision"] = json!(plan.precision);
                info["dispatches"] = json!(plan.steps.len());
                info["bytes"] = json!({ "weights": plan.weight_bytes(), "activations": plan.activation_bytes() });
                info["macs"] = json!(plan.macs());
                info
            }
            Place::Cpu(classifier) => {
                let mut info = common("wasm");
                info["size"] = json!(classifier.size());
                info
            }
        };
        info["labels"] = json!((0..model.labels().len()).map(|i| model.labels().get(i).0).collect::<Vec<_>>());
        info.to_string()
    }

    /// The plan as JSON; null on the CPU.
    pub fn plan(&self) -> String {
        match &*self.inner.place.borrow() {
            Place::Gpu(gpu) => json!(gpu.session.plan()).to_string(),
            Place::Cpu(_) => "null".into(),
        }
    }

    /// The `GPUDevice`; null on the CPU.
    pub fn device(&self) -> JsValue {
        match &*self.inner.place.borrow() {
            Place::Gpu(gpu) => gpu.session.engine().device().as_webgpu().map_or(JsValue::NULL, |d| AsRef::<JsValue>::as_ref(d).clone()),
            Place::Cpu(_) => JsValue::NULL,
        }
    }

    /// Outputs for a picture that the browser can copy to a texture.
    #[wasm_bindgen(js_name = runExternal)]
    pub fn run_external(&self, source: &JsValue, height: u32, width: u32) -> Promise {
        let rule = *self.inner.model.preprocessing();
        let running = self.with(|place| match place {
            Place::Gpu(gpu) => gpu.external(source, [height, width], &rule),
            Place::Cpu(_) => Err(with_code("on the CPU pictures come as pixels", "input")),
        });
        promise(running)
    }

    /// Outputs for RGBA bytes.
    #[wasm_bindgen(js_name = runPixels)]
    pub fn run_pixels(&self, rgba: Vec<u8>, height: u32, width: u32) -> Promise {
        let rule = *self.inner.model.preprocessing();
        let picture = Picture::from_rgba(width, height, rgba).map_err(|e| to_js(&e));
        let running = picture.and_then(|picture| {
            self.with(|place| match place {
                Place::Gpu(gpu) => gpu.submit(Input::Pictures(std::slice::from_ref(&picture), &rule)).map(Into::into),
                Place::Cpu(classifier) => classifier.submit(std::slice::from_ref(&picture)).map_err(|e| to_js(&e)),
            })
        });
        promise(running)
    }

    /// Outputs for normalised values, `[n, h, w, 3]`.
    #[wasm_bindgen(js_name = runTensor)]
    pub async fn run_tensor(&self, values: Vec<f32>, batch: u32) -> Result<JsValue, JsValue> {
        let inner = self.inner.clone();
        let [height, width] = match &*inner.place.borrow() {
            Place::Gpu(gpu) => [gpu.session.plan().input.height, gpu.session.plan().input.width],
            Place::Cpu(classifier) => classifier.size(),
        };
        let tensor = Tensor::from_nhwc(batch, Shape::new(height, width, 3), values).map_err(|e| to_js(&e))?;
        let pending = self.with(|place| match place {
            Place::Gpu(gpu) => gpu.submit(Input::Tensor(&tensor)).map(Ok),
            Place::Cpu(classifier) => Ok(Err(at_once(classifier.run_async(&tensor)))),
        })?;
        let outputs = match pending {
            Ok(pending) => pending.await,
            Err(outputs) => outputs,
        };
        outputs_to_js(&outputs.map_err(|e| to_js(&e))?)
    }

    /// The `top` most probable classes of one picture's probabilities, as JSON.
    pub fn predictions(&self, probabilities: Vec<f32>, top: usize) -> String {
        json!(Prediction::best(&probabilities, self.inner.model.labels(), top)).to_string()
    }

    /// Nanoseconds of each layer, as JSON.
    pub async fn profile(&self) -> Result<String, JsValue> {
        let (inner, engine) = (self.inner.clone(), self.engine()?);
        bench::profile(&engine, &inner.model, &inner.options).await.map_err(|e| to_js(&e))
    }

    /// Nanoseconds of every kernel on every layer, and a tuning record, as JSON. `now` is in seconds since 1970;
    /// `on_progress` is told rounds done and rounds in all.
    pub async fn bench(&self, now: f64, on_progress: js_sys::Function) -> Result<String, JsValue> {
        let (inner, engine) = (self.inner.clone(), self.engine()?);
        bench::bench(&engine, &inner.model, &inner.options, now, &on_progress).await
    }

    /// A new device and everything on it anew, after the old one was lost.
    pub async fn restore(&self) -> Result<(), JsValue> {
        let inner = self.inner.clone();
        let gpu = Gpu::open(&inner.model, &inner.options).await.map_err(|e| to_js(&e))?;
        *inner.place.borrow_mut() = Place::Gpu(Box::new(gpu));
        Ok(())
    }
}

impl Network {
    async fn open(model: impl Future<Output = Result<Model, Error>>, options: &Options) -> Result<Self, JsValue> {
        let mut session = options.session()?;
        let opened = async {
            let model = model.await?;
            if session.outputs.is_empty() {
                let is_classifier = model.recognition().classes.is_some();
                let names: &[&str] = if is_classifier { &["logits", "probabilities", "embedding"] } else { &["embedding"] };
                session.outputs = names.iter().map(|n| n.to_string()).collect();
            }
            let (gpu, note) = match options.backend {
                Backend::Cpu => (None, None),
                wish => match Gpu::open(&model, &session).await {
                    Err(Error::NoAdapter(why)) if wish == Backend::Auto => (None, Some(why)),
                    opened => (Some(opened?), None),
                },
            };
            model.weights().complete().await?;
            let place = match gpu {
                Some(gpu) => Place::Gpu(Box::new(gpu)),
                None => Place::Cpu(Box::new(Classifier::on_cpu(model.clone(), &session)?)),
            };
            Ok((model, place, note))
        };
        let (model, place, note) = opened.await.map_err(|e: Error| to_js(&e))?;
        Ok(Network { inner: Rc::new(Inner { model, options: session, place: RefCell::new(place), note }) })
    }

    fn engine(&self) -> Result<Engine, JsValue> {
        match &*self.inner.place.borrow() {
            Place::Gpu(gpu) => Ok(gpu.session.engine().clone()),
            Place::Cpu(_) => Err(bench::no_device()),
        }
    }
    fn with<T>(&self, what: impl FnOnce(&mut Place) -> Result<T, JsValue>) -> Result<T, JsValue> {
        let mut place = self.inner.place.try_borrow_mut().map_err(|_| with_code("the network is in use", "busy"))?;
        what(&mut place)
    }
}
