//! The network as a guest on the window's device: fed with the texture that is shown, in the window's own commands.

use super::gpu::Gpu;
use crate::backend;
use crate::failure::{Failure, Outcome};
use crate::options::DeviceOptions;
use crate::own::Kernels;
use mobilenet_wgpu::engine::{Engine, Input, Pending, Session, SessionOptions};
use mobilenet_wgpu::measure::{Profile, RunOptions, profile};
use mobilenet_wgpu::picture::Frame;
use mobilenet_wgpu::{Error, Model, Prediction, Tensor, wgpu};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Inferences that can be under way.
const IN_FLIGHT: usize = 3;
/// How many labels are shown.
const TOP: usize = 5;

/// A model on the window's device, with what is under way and what it gave last.
pub struct Network {
    engine: Engine,
    model: Model,
    options: SessionOptions,
    session: Session,
    under_way: VecDeque<(Instant, Pending)>,
    /// The likeliest classes of the latest result.
    pub predictions: Vec<Prediction>,
    /// Time of each step, once it is measured.
    pub profile: Option<Profile>,
    measured: Option<Receiver<Result<Profile, Error>>>,
    /// Whether the user's kernels give what the reference gives.
    pub agrees: bool,
}

impl Network {
    /// Compiles a model on the window's device, with the user's kernels where they apply; these are tried in a child process
    /// and held against the reference first.
    pub fn new(gpu: &Gpu, model: &Model, device: &DeviceOptions, own: &Kernels) -> Outcome<Self> {
        if model.recognition().classes.is_none() {
            return Err(Failure::new("the model has no classifier, only features\nnext: another --model"));
        }
        let engine = own.on(Engine::new(gpu.device.clone(), gpu.queue.clone())?)?;
        let mut options = SessionOptions { outputs: vec!["probabilities".into()], in_flight: IN_FLIGHT, ..SessionOptions::default() };
        backend::asked(device, &engine, &mut options)?;
        options.prefer.extend(own.prefer());
        let mut session = engine.session(model, &options)?;
        let mut agrees = true;
        if !own.is_empty() {
            let plan = session.plan().clone();
            // The child opens the adapter that the window is on, whatever its place in the list.
            let here = DeviceOptions { adapter: Some(gpu.name.clone()), ..device.clone() };
            agrees = own.check(&here, model, &options, &plan, engine.profile(), |input| session.run(Input::Tensor(input)))?.agrees;
        }
        session.prepare_frames()?;
        let (predictions, under_way) = Default::default();
        let mut network =
            Self { engine, model: model.clone(), options, session, under_way, predictions, profile: None, measured: None, agrees };
        network.measure();
        Ok(network)
    }

    /// What the model was recognised as.
    pub fn description(&self) -> String {
        let differs = if self.agrees { "" } else { "; with --use the results DIFFER from the reference" };
        format!("{}{differs}", self.model.recognition())
    }

    /// Records an inference of the texture, unless as many as can be are under way.
    pub fn encode(&mut self, encoder: &mut wgpu::CommandEncoder, view: &wgpu::TextureView) -> Outcome<()> {
        let input = [Frame::texture(view)];
        match self.session.encode(encoder, Input::Frames(&input, self.model.preprocessing())) {
            Ok(pending) => self.under_way.push_back((Instant::now(), pending)),
            Err(Error::Busy(_)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Takes results that are there, and never waits. Gives the time that each of them took.
    pub fn take(&mut self) -> Outcome<Vec<Duration>> {
        let mut times = Vec::new();
        while let Some((since, pending)) = self.under_way.front_mut() {
            let Some(outputs) = pending.try_take()? else { break };
            times.push(since.elapsed());
            if let Some(probabilities) = outputs.get("probabilities") {
                self.predictions = Prediction::best(probabilities.picture(0), self.model.labels(), TOP);
            }
            self.under_way.pop_front();
        }
        if let Some(Ok(measured)) = self.measured.as_ref().map(Receiver::try_recv) {
            self.measured = None;
            self.profile = Some(measured?);
        }
        Ok(times)
    }

    /// Lets go of the texture that was shown.
    pub fn forget_frames(&mut self) {
        self.session.forget_frames();
    }

    /// Measures the steps on a thread, in a session of its own, so that the window goes on.
    pub fn measure(&mut self) {
        let (send, receive) = channel();
        self.measured = Some(receive);
        let (engine, model) = (self.engine.clone(), self.model.clone());
        let options = SessionOptions { in_flight: 1, ..self.options.clone() };
        std::thread::spawn(move || {
            let _ = send.send(measure(&engine, &model, &options));
        });
    }
}

fn measure(engine: &Engine, model: &Model, options: &SessionOptions) -> Result<Profile, Error> {
    let mut session = engine.session(model, options)?;
    let shape = session.plan().input;
    let input = Tensor::from_nhwc(1, shape, vec![0.25; shape.elements() as usize])?;
    profile(&mut session, Input::Tensor(&input), &RunOptions { warm_up: 2, runs: 9, budget: Some(Duration::from_secs(3)) })
}
