//! The window's device: what it is opened on, and how a frame reaches the screen.
//!
//! The device is opened as any app of `wgpu` and egui does; the network is its guest.

use crate::failure::{Failure, Outcome};
use crate::options::DeviceOptions;
use mobilenet_wgpu::wgpu;
use std::sync::Arc;
use winit::event_loop::ActiveEventLoop;
use winit::window::Window;

/// A device with the window's surface and egui's renderer on it.
pub struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub renderer: egui_wgpu::Renderer,
    /// The adapter's name.
    pub name: String,
    surface: wgpu::Surface<'static>,
    config: wgpu::SurfaceConfiguration,
}

/// The adapters that can draw into the window, the best first.
pub struct Adapters {
    surface: wgpu::Surface<'static>,
    found: Vec<wgpu::Adapter>,
}

/// What egui has drawn, ready to be rendered.
pub struct Drawing {
    pub jobs: Vec<egui::ClippedPrimitive>,
    pub textures: egui::TexturesDelta,
    pub pixels_per_point: f32,
}

impl Adapters {
    /// Looks for them.
    pub fn find(event_loop: &ActiveEventLoop, window: &Arc<Window>, options: &DeviceOptions) -> Outcome<Self> {
        let mut descriptor = wgpu::InstanceDescriptor::new_with_display_handle(Box::new(event_loop.owned_display_handle())).with_env();
        if let Some(names) = &options.backend {
            descriptor.backends = wgpu::Backends::from_comma_list(names);
        }
        let backends = descriptor.backends;
        let instance = wgpu::Instance::new(descriptor);
        let surface = instance.create_surface(window.clone());
        let surface = surface.map_err(|e| Failure::new(format!("the window cannot be drawn into: {e}")))?;
        let mut found = pollster::block_on(instance.enumerate_adapters(backends));
        found.retain(|adapter| adapter.is_surface_supported(&surface));
        found.sort_by_key(|adapter| match adapter.get_info().device_type {
            wgpu::DeviceType::DiscreteGpu => 0,
            wgpu::DeviceType::IntegratedGpu => 1,
            wgpu::DeviceType::VirtualGpu => 2,
            wgpu::DeviceType::Other => 3,
            wgpu::DeviceType::Cpu => 4,
        });
        if found.is_empty() {
            return Err(Failure::new(
                "no GPU driver can draw into a window here\nnext: install one (Debian, Ubuntu: apt-get install mesa-vulkan-drivers), or use \
                 `mobilenet classify`",
            ));
        }
        Ok(Self { surface, found })
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.found.iter().map(|a| format!("{} ({})", a.get_info().name, a.get_info().backend)).collect()
    }

    /// The one that `--adapter` means: an index, or a part of a name.
    pub fn wanted(&self, options: &DeviceOptions) -> Outcome<usize> {
        let Some(wish) = &options.adapter else { return Ok(0) };
        let names = self.names();
        let found = match wish.parse::<usize>() {
            Ok(index) => Some(index).filter(|i| *i < names.len()),
            Err(_) => names.iter().position(|name| name.to_lowercase().contains(&wish.to_lowercase())),
        };
        found.ok_or_else(|| Failure::new(format!("--adapter {wish}: none of those that can draw into a window: {}", names.join("; "))))
    }

    /// Opens a device on one of them, and gives the surface to it.
    pub fn open(self, index: usize, size: [u32; 2]) -> Outcome<Gpu> {
        let failed =
            |what: String| Failure::new(format!("the GPU cannot be opened: {what}\nnext: another --adapter, or `mobilenet classify`"));
        let Self { surface, found } = self;
        let adapter = found.into_iter().nth(index).ok_or_else(|| failed(format!("there is no adapter {index}")))?;
        let (required_features, required_limits) = mobilenet_wgpu::gpu::wanted(&adapter);
        let descriptor = wgpu::DeviceDescriptor { label: Some("view"), required_features, required_limits, ..Default::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).map_err(|e| failed(e.to_string()))?;
        let [width, height] = size.map(|n| n.max(1));
        let config = surface.get_default_config(&adapter, width, height);
        let mut config = config.ok_or_else(|| failed("it does not know the window's format".into()))?;
        // egui blends encoded values, so it wants a format that does not encode again.
        let formats = surface.get_capabilities(&adapter).formats;
        config.format = formats.iter().copied().find(|f| !f.is_srgb()).unwrap_or(config.format);
        config.present_mode = wgpu::PresentMode::AutoVsync;
        surface.configure(&device, &config);
        let renderer = egui_wgpu::Renderer::new(&device, config.format, egui_wgpu::RendererOptions::default());
        Ok(Gpu { device, queue, renderer, name: adapter.get_info().name, surface, config })
    }
}

impl Gpu {
    /// The window has another size.
    pub fn resize(&mut self, [width, height]: [u32; 2]) {
        if width > 0 && height > 0 && [width, height] != [self.config.width, self.config.height] {
            (self.config.width, self.config.height) = (width, height);
            self.surface.configure(&self.device, &self.config);
        }
    }

    /// Width and height of what is drawn.
    pub fn size(&self) -> [u32; 2] {
        [self.config.width, self.config.height]
    }

    /// The format of what is drawn.
    pub fn format(&self) -> wgpu::TextureFormat {
        self.config.format
    }

    /// Submits what `encoder` holds and the drawing, and shows it; into `also`, too, if that is given.
    pub fn show(&mut self, mut encoder: wgpu::CommandEncoder, mut drawing: Drawing, also: Option<&wgpu::TextureView>) {
        let screen = egui_wgpu::ScreenDescriptor { size_in_pixels: self.size(), pixels_per_point: drawing.pixels_per_point };
        for (id, deltas) in drawing.textures.set.drain() {
            for delta in &deltas {
                self.renderer.update_texture(&self.device, &self.queue, id, delta);
            }
        }
        let first = self.renderer.update_buffers(&self.device, &self.queue, &mut encoder, &drawing.jobs, &screen);
        let frame = self.surface_texture();
        let view = frame.as_ref().map(|frame| frame.texture.create_view(&Default::default()));
        for view in view.iter().chain(also) {
            self.paint(&mut encoder, view, &drawing.jobs, &screen);
        }
        self.queue.submit(first.into_iter().chain([encoder.finish()]));
        if let Some(frame) = frame {
            self.queue.present(frame);
        }
        for id in drawing.textures.free.drain() {
            self.renderer.free_texture(&id);
        }
    }

    fn paint(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        view: &wgpu::TextureView,
        jobs: &[egui::ClippedPrimitive],
        screen: &egui_wgpu::ScreenDescriptor,
    ) {
        let attachment = wgpu::RenderPassColorAttachment {
            view,
            depth_slice: None,
            resolve_target: None,
            ops: wgpu::Operations { load: wgpu::LoadOp::Clear(wgpu::Color::BLACK), store: wgpu::StoreOp::Store },
        };
        let descriptor = wgpu::RenderPassDescriptor { label: Some("window"), color_attachments: &[Some(attachment)], ..Default::default() };
        let mut pass = encoder.begin_render_pass(&descriptor).forget_lifetime();
        self.renderer.render(&mut pass, jobs, screen);
    }

    /// What is shown next; `None` if the window cannot be seen now.
    fn surface_texture(&self) -> Option<wgpu::SurfaceTexture> {
        use wgpu::CurrentSurfaceTexture as Current;
        for _ in 0..2 {
            match self.surface.get_current_texture() {
                Current::Success(frame) | Current::Suboptimal(frame) => return Some(frame),
                Current::Outdated | Current::Lost => self.surface.configure(&self.device, &self.config),
                _ => return None,
            }
        }
        None
    }
}
