//! `mobilenet view`: a window in which a network looks at what is shown.
//!
//! What must hold: the network runs on the window's own device, on the texture that is drawn, in the commands of the same
//! frame; the window never waits for it. What is shown is [`screen`]'s, a function of plain values.

mod gpu;
mod network;
mod screen;
mod shot;
mod source;

use crate::failure::{Failure, Outcome, Status, tell};
use crate::model;
use crate::options::{DeviceOptions, ModelOptions};
use crate::own::Kernels;
use gpu::{Adapters, Drawing, Gpu};
use mobilenet_wgpu::{Model, wgpu};
use network::Network;
use screen::{Scene, Wish};
use source::{Pixels, Source};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use winit::application::ApplicationHandler;
use winit::event::WindowEvent;
use winit::event_loop::{ActiveEventLoop, ControlFlow, EventLoop};
use winit::window::{Fullscreen, Window, WindowId};

/// How many values the plots keep.
const KEPT: usize = 160;
/// A screenshot is taken when so many inferences were shown.
const SETTLED: usize = 12;

/// What the window is opened for.
pub struct Options {
    pub source: PathBuf,
    pub frame: Option<[u32; 2]>,
    pub every: Duration,
    pub window: [u32; 2],
    pub screenshot: Option<PathBuf>,
    pub model: ModelOptions,
    pub device: DeviceOptions,
}

/// Opens the window and stays until it is closed.
pub fn run(options: Options) -> Outcome {
    let own = Kernels::read(&options.device)?;
    let (model, name) = model::load(&options.model)?;
    let source = Source::open(&options.source, options.frame, options.every)?;
    let no_display = |e: String| {
        // What comes before the last colon is a place in the window library's source.
        let why = e.rsplit(": ").next().unwrap_or(&e);
        Failure::new(format!(
            "no window can be opened: {why}\nnext: run it on a desktop, with `ssh -X`, or under `xvfb-run`; `mobilenet classify` needs no window"
        ))
    };
    let event_loop = EventLoop::new().map_err(|e| no_display(e.to_string()))?;
    event_loop.set_control_flow(ControlFlow::Poll);
    let mut models = vec![(name.to_string(), options.model.clone())];
    if models[0].0 != model::BUILTIN && cfg!(feature = "builtin-model") {
        models.push((model::BUILTIN.into(), ModelOptions { model: Some(model::BUILTIN.into()), ..ModelOptions::default() }));
    }
    let mut app = App { options, own, source, model, models, chosen: 0, window: None, ended: Ok(Status::Good) };
    event_loop.run_app(&mut app).map_err(|e| no_display(e.to_string()))?;
    app.ended
}

struct App {
    options: Options,
    /// Kernels of --use.
    own: Kernels,
    source: Source,
    model: Model,
    /// Models to choose from: what they are called, and how they are loaded.
    models: Vec<(String, ModelOptions)>,
    chosen: usize,
    window: Option<Live>,
    ended: Outcome,
}

/// The window with all that is on its device.
struct Live {
    window: Arc<Window>,
    egui: egui_winit::State,
    adapters: Vec<String>,
    adapter: usize,
    gpu: Gpu,
    network: Network,
    shown: Option<Shown>,
    paused: bool,
    note: Option<String>,
    latency: VecDeque<f32>,
    frames: VecDeque<f32>,
    last: Instant,
}

/// The picture as a texture, which egui draws and the network reads.
struct Shown {
    texture: wgpu::Texture,
    view: wgpu::TextureView,
    id: egui::TextureId,
    size: [u32; 2],
}

impl ApplicationHandler for App {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if self.window.is_some() {
            return;
        }
        match self.open(event_loop) {
            Ok(live) => self.window = Some(live),
            Err(failure) => self.end(event_loop, Err(failure)),
        }
    }

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        let Some(live) = &mut self.window else { return };
        let _ = live.egui.on_window_event(&live.window, &event);
        match event {
            WindowEvent::CloseRequested => {
                let status = live.status();
                self.end(event_loop, Ok(status));
            }
            WindowEvent::Resized(size) => live.gpu.resize(size.into()),
            WindowEvent::DroppedFile(path) => self.dropped(path),
            WindowEvent::RedrawRequested => {
                let outcome = self.frame(event_loop);
                if let Err(failure) = outcome {
                    self.end(event_loop, Err(failure));
                }
            }
            _ => {}
        }
    }

    fn about_to_wait(&mut self, _: &ActiveEventLoop) {
        if let Some(live) = &self.window {
            // The desktop's rate, where it has one, is kept by the surface.
            live.window.request_redraw();
        }
    }
}

impl App {
    fn end(&mut self, event_loop: &ActiveEventLoop, outcome: Outcome) {
        self.ended = outcome;
        event_loop.exit();
    }

    fn open(&self, event_loop: &ActiveEventLoop) -> Outcome<Live> {
        let [width, height] = self.options.window;
        let attributes = Window::default_attributes().with_title("mobilenet").with_inner_size(winit::dpi::PhysicalSize::new(width, height));
        let window = event_loop.create_window(attributes).map_err(|e| Failure::new(format!("no window can be opened: {e}")))?;
        let window = Arc::new(window);
        let adapters = Adapters::find(event_loop, &window, &self.options.device)?;
        let (adapter, names) = (adapters.wanted(&self.options.device)?, adapters.names());
        let gpu = adapters.open(adapter, window.inner_size().into())?;
        let network = Network::new(&gpu, &self.model, &self.options.device, &self.own)?;
        let context = egui::Context::default();
        context.set_theme(egui::Theme::Dark);
        let side = gpu.device.limits().max_texture_dimension_2d as usize;
        let scale = Some(window.scale_factor() as f32);
        let egui = egui_winit::State::new(context, egui::ViewportId::ROOT, &window, scale, None, Some(side));
        let (latency, frames) = Default::default();
        let (shown, note, paused, last) = (None, None, false, Instant::now());
        Ok(Live { window, egui, adapters: names, adapter, gpu, network, shown, paused, note, latency, frames, last })
    }

    /// One frame: the picture to its texture, the network and the drawing in one submission.
    fn frame(&mut self, event_loop: &ActiveEventLoop) -> Outcome<()> {
        let Some(live) = &mut self.window else { return Ok(()) };
        keep(&mut live.frames, live.last.elapsed());
        live.last = Instant::now();
        if let Some(pixels) = self.source.next(live.paused) {
            live.upload(&pixels);
            self.source.recycle(pixels.rgba);
        }
        for took in live.network.take()? {
            keep(&mut live.latency, took);
        }
        let names: Vec<String> = self.models.iter().map(|(name, _)| name.clone()).collect();
        let (caption, error) = self.source.caption();
        let (wishes, drawing) = live.draw(caption, error, &names, self.chosen);
        let mut encoder = live.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("frame") });
        if let Some(shown) = live.shown.as_ref().filter(|_| !live.paused) {
            live.network.encode(&mut encoder, &shown.view)?;
        }
        let settled = live.latency.len() >= SETTLED && live.network.profile.is_some();
        let shot = self.options.screenshot.as_ref().filter(|_| settled).map(|path| (path, shot::target(&live.gpu)));
        let also = shot.as_ref().map(|(_, texture)| texture.create_view(&Default::default()));
        live.gpu.show(encoder, drawing, also.as_ref());
        if let Some((path, texture)) = shot {
            shot::save(&live.gpu, &texture, path)?;
            let status = live.status();
            self.end(event_loop, Ok(status));
            return Ok(());
        }
        wishes.into_iter().try_for_each(|wish| self.grant(event_loop, wish))
    }

    fn grant(&mut self, event_loop: &ActiveEventLoop, wish: Wish) -> Outcome<()> {
        let Some(live) = &mut self.window else { return Ok(()) };
        match wish {
            Wish::Quit => {
                let status = live.status();
                self.end(event_loop, Ok(status));
            }
            Wish::Pause => live.paused = !live.paused,
            Wish::Step(by) => self.source.step(by),
            Wish::Measure => live.network.measure(),
            Wish::FullScreen => {
                let full = live.window.fullscreen().is_none().then_some(Fullscreen::Borderless(None));
                live.window.set_fullscreen(full);
            }
            Wish::Model(index) => self.choose(index),
            Wish::Adapter(index) => self.move_to(event_loop, index)?,
        }
        Ok(())
    }

    /// Another model, on the same device; one that cannot be loaded leaves the old one.
    fn choose(&mut self, index: usize) {
        let Some(live) = &mut self.window else { return };
        let made = model::load(&self.models[index].1).and_then(|(model, _)| {
            let network = Network::new(&live.gpu, &model, &self.options.device, &self.own)?;
            Ok((model, network))
        });
        match made {
            Ok((model, network)) => {
                (self.model, live.network, self.chosen, live.note) = (model, network, index, None);
                live.latency.clear();
            }
            Err(Failure::Fatal(message)) => {
                tell(&format!("error: {message}"));
                live.note = Some(message);
            }
            Err(Failure::ClosedPipe) => {}
        }
    }

    /// The window's device on another adapter: everything is made anew.
    fn move_to(&mut self, event_loop: &ActiveEventLoop, index: usize) -> Outcome<()> {
        self.window = None;
        self.options.device.adapter = Some(index.to_string());
        let mut live = self.open(event_loop)?;
        live.adapter = index;
        self.source.step(0);
        self.window = Some(live);
        Ok(())
    }

    /// Pictures and folders are looked at, models are loaded.
    fn dropped(&mut self, path: PathBuf) {
        let paths = [path];
        if source::dropped_pictures(&paths).is_some() {
            if let Ok(source) = Source::open(&paths[0], None, self.options.every) {
                self.source = source;
            }
            return;
        }
        let name = paths[0].display().to_string();
        self.models.push((name.clone(), ModelOptions { model: Some(name), reading: self.options.model.reading.clone() }));
        self.choose(self.models.len() - 1);
        if self.chosen != self.models.len() - 1 {
            self.models.pop();
        }
    }
}

impl Live {
    /// How the window ends: a user's kernel that gives other results is told as `classify` tells it.
    fn status(&self) -> Status {
        if self.network.agrees { Status::Good } else { Status::SomeFailed }
    }

    fn upload(&mut self, pixels: &Pixels) {
        if self.shown.as_ref().is_none_or(|shown| shown.size != pixels.size) {
            self.network.forget_frames();
            if let Some(old) = self.shown.take() {
                self.gpu.renderer.free_texture(&old.id);
            }
            self.shown = self.texture(pixels.size);
        }
        let [width, height] = pixels.size;
        if let Some(shown) = &self.shown {
            let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(width * 4), rows_per_image: None };
            self.gpu.queue.write_texture(shown.texture.as_image_copy(), &pixels.rgba, layout, shown.texture.size());
            self.note = None;
        } else {
            let most = self.gpu.device.limits().max_texture_dimension_2d;
            self.note = Some(format!("{width}x{height} pixels are more than this GPU's textures have ({most} a side)"));
        }
    }

    fn texture(&mut self, size: [u32; 2]) -> Option<Shown> {
        let most = self.gpu.device.limits().max_texture_dimension_2d;
        let [width, height] = size;
        if width > most || height > most {
            return None;
        }
        let texture = self.gpu.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("picture"),
            size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let view = texture.create_view(&Default::default());
        let id = self.gpu.renderer.register_native_texture(&self.gpu.device, &view, wgpu::FilterMode::Linear);
        Some(Shown { texture, view, id, size })
    }

    fn draw(&mut self, caption: String, error: Option<String>, models: &[String], model: usize) -> (Vec<Wish>, Drawing) {
        let scene = Scene {
            picture: self.shown.as_ref().map(|shown| (shown.id, shown.size)),
            caption,
            error: self.note.clone().or(error),
            paused: self.paused,
            adapters: &self.adapters,
            adapter: self.adapter,
            models,
            model,
            description: self.network.description(),
            predictions: &self.network.predictions,
            latency: &self.latency,
            frames: &self.frames,
            profile: self.network.profile.as_ref(),
        };
        let input = self.egui.take_egui_input(&self.window);
        let context = self.egui.egui_ctx().clone();
        let mut wishes = Vec::new();
        let output = context.run_ui(input, |ui| wishes.extend(screen::draw(ui, &scene)));
        self.egui.handle_platform_output(&self.window, output.platform_output);
        let jobs = context.tessellate(output.shapes, output.pixels_per_point);
        (wishes, Drawing { jobs, textures: output.textures_delta, pixels_per_point: output.pixels_per_point })
    }
}

/// Keeps the latest values, in milliseconds.
fn keep(values: &mut VecDeque<f32>, took: Duration) {
    if values.len() >= KEPT {
        values.pop_front();
    }
    values.push_back(took.as_secs_f32() * 1000.0);
}
