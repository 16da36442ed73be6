//! An egui program with the network as a guest: the texture that egui draws is the one that the network reads, in the same
//! encoder, and the labels of a frame are drawn a frame or two later. It draws into a texture, so that it runs without
//! a display; with a window, `Target` is the surface's texture, and nothing else changes (`cli/src/view` is such a program).
//!
//!   cargo run --release -p mobilenet-cli --features view --example egui_app -- MODEL PICTURE
#![allow(missing_docs)]

use mobilenet_wgpu::engine::{Engine, Input, Pending, Session, SessionOptions};
use mobilenet_wgpu::picture::Frame;
use mobilenet_wgpu::{Model, Picture, Prediction, wgpu};
use std::collections::VecDeque;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const SIZE: [u32; 2] = [640, 480];
const FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(model), Some(picture)) = (arguments.next(), arguments.next()) else { return Err("usage: egui_app MODEL PICTURE".into()) };
    let mut app = pollster::block_on(App::new(Model::open(model)?, &Picture::open(picture)?))?;
    for _ in 0..600 {
        app.frame()?;
        if !app.labels.is_empty() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(16)); // a window is held back by its screen
    }
    for prediction in &app.labels {
        println!("{:5.1} %  {}", prediction.probability * 100.0, prediction.label);
    }
    if app.labels.is_empty() { Err("no result came in 600 frames".into()) } else { Ok(()) }
}

/// The program: its device, egui, and its guest.
struct App {
    device: wgpu::Device,
    queue: wgpu::Queue,
    context: egui::Context,
    renderer: egui_wgpu::Renderer,
    target: wgpu::TextureView,
    picture: wgpu::TextureView,
    picture_id: egui::TextureId,
    model: Model,
    session: Session,
    under_way: VecDeque<Pending>,
    labels: Vec<Prediction>,
}

impl App {
    async fn new(model: Model, picture: &Picture) -> Result<Self> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle().with_env());
        let adapter = instance.request_adapter(&Default::default()).await?;
        let (required_features, required_limits) = Engine::wanted(&adapter);
        let descriptor = wgpu::DeviceDescriptor { required_features, required_limits, ..Default::default() };
        let (device, queue) = adapter.request_device(&descriptor).await?;
        let target = texture(&device, SIZE, wgpu::TextureUsages::RENDER_ATTACHMENT).create_view(&Default::default());
        let size = [picture.width(), picture.height()];
        let shown = texture(&device, size, wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST);
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(size[0] * 4), rows_per_image: None };
        queue.write_texture(shown.as_image_copy(), picture.rgba(), layout, shown.size());
        let picture = shown.create_view(&Default::default());
        let mut renderer = egui_wgpu::Renderer::new(&device, FORMAT, egui_wgpu::RendererOptions::default());
        let picture_id = renderer.register_native_texture(&device, &picture, wgpu::FilterMode::Linear);

        let engine = Engine::new(device.clone(), queue.clone())?;
        let options = SessionOptions { outputs: vec!["probabilities".into()], in_flight: 3, ..Default::default() };
        let mut session = engine.session(&model, &options)?;
        session.prepare_frames()?;
        let (context, under_way, labels) = Default::default();
        Ok(Self { device, queue, context, renderer, target, picture, picture_id, model, session, under_way, labels })
    }

    fn frame(&mut self) -> Result<()> {
        // What earlier frames asked, if it is there.
        if let Some(outputs) = self.under_way.front_mut().map(Pending::try_take).transpose()?.flatten() {
            self.under_way.pop_front();
            if let Some(probabilities) = outputs.get("probabilities") {
                self.labels = Prediction::best(probabilities.picture(0), self.model.labels(), 5);
            }
        }
        let mut encoder = self.device.create_command_encoder(&Default::default());
        match self.session.encode(&mut encoder, Input::Frames(&[Frame::texture(&self.picture)], self.model.preprocessing())) {
            Ok(pending) => self.under_way.push_back(pending),
            Err(mobilenet_wgpu::Error::Busy(_)) => {} // three are under way: leave this frame out
            Err(error) => return Err(error.into()),
        }
        self.draw(encoder);
        Ok(())
    }

    fn draw(&mut self, mut encoder: wgpu::CommandEncoder) {
        let screen = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(SIZE[0] as f32, SIZE[1] as f32));
        let input = egui::RawInput { screen_rect: Some(screen), ..Default::default() };
        let output = self.context.run_ui(input, |ui| {
            ui.image((self.picture_id, egui::vec2(320.0, 240.0)));
            for prediction in &self.labels {
                ui.add(egui::ProgressBar::new(prediction.probability).text(&prediction.label));
            }
        });
        let jobs = self.context.tessellate(output.shapes, output.pixels_per_point);
        let mut textures = output.textures_delta;
        for (id, deltas) in textures.set.drain() {
            deltas.iter().for_each(|delta| self.renderer.update_texture(&self.device, &self.queue, id, delta));
        }
        let screen = egui_wgpu::ScreenDescriptor { size_in_pixels: SIZE, pixels_per_point: output.pixels_per_point };
        let first = self.renderer.update_buffers(&self.device, &self.queue, &mut encoder, &jobs, &screen);
        {
            let attachment = wgpu::RenderPassColorAttachment {
                view: &self.target,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations { load: wgpu::LoadOp::Clear(wgpu::Color::BLACK), store: wgpu::StoreOp::Store },
            };
            let descriptor = wgpu::RenderPassDescriptor { color_attachments: &[Some(attachment)], ..Default::default() };
            self.renderer.render(&mut encoder.begin_render_pass(&descriptor).forget_lifetime(), &jobs, &screen);
        }
        self.queue.submit(first.into_iter().chain([encoder.finish()]));
        textures.free.drain().for_each(|id| self.renderer.free_texture(&id));
    }
}

fn texture(device: &wgpu::Device, [width, height]: [u32; 2], usage: wgpu::TextureUsages) -> wgpu::Texture {
    device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: FORMAT,
        usage,
        view_formats: &[],
    })
}
