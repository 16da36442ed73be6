//! An application with a device of its own hands over a texture and gets labels: `cargo run --example own_device MODEL`.
//!
//! No window, but the frame loop of one: the network is recorded into the frame's encoder, and its result is picked up by
//! a later frame. Nothing waits, and the pixels never leave the GPU.

use mobilenet_wgpu::classifier::Prediction;
use mobilenet_wgpu::engine::{Engine, Input, Pending, SessionOptions};
use mobilenet_wgpu::picture::{Frame, Framing, Rotation};
use mobilenet_wgpu::{Error, Model, wgpu};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = Model::open(std::env::args().nth(1).ok_or("usage: own_device MODEL")?)?;
    let (device, queue) = pollster::block_on(the_applications_device())?;
    let view = the_applications_texture(&device, &queue);

    let engine = Engine::new(device.clone(), queue.clone())?;
    let outputs = vec!["probabilities".into()];
    let mut session = engine.session(&model, &SessionOptions { outputs, in_flight: 2, ..Default::default() })?;
    session.prepare_frames()?;
    // As a phone's camera would have it: upside up after a quarter turn.
    let framing = Framing { rotation: Rotation::Quarter, ..Default::default() };

    let mut pending: Vec<Pending> = Vec::new();
    let mut labelled = 0;
    for frame in 0.. {
        let mut encoder = device.create_command_encoder(&Default::default());
        // … here the application draws its frame …
        match session.encode(&mut encoder, Input::Frames(&[Frame::texture(&view).framed(framing)], model.preprocessing())) {
            Ok(recorded) => pending.push(recorded),
            // Two are under way: this frame goes without.
            Err(Error::Busy(_)) => {}
            Err(error) => return Err(error.into()),
        }
        queue.submit([encoder.finish()]);
        if let Some(first) = pending.first_mut()
            && let Some(found) = first.try_take()?
        {
            drop(pending.remove(0));
            let probabilities = found.get("probabilities").ok_or("no probabilities")?.picture(0);
            let best = &Prediction::best(probabilities, model.labels(), 1)[0];
            println!("frame {frame}: {:5.1} %  {}", best.probability * 100.0, best.label);
            labelled += 1;
        }
        if labelled == 5 {
            return Ok(());
        }
        // A real application is held back by its screen.
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    Ok(())
}

/// The application's own choice of adapter, with what the engine would like added.
async fn the_applications_device() -> Result<(wgpu::Device, wgpu::Queue), Box<dyn std::error::Error>> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle().with_env());
    let adapter = instance.request_adapter(&Default::default()).await?;
    let (required_features, required_limits) = Engine::wanted(&adapter);
    let descriptor = wgpu::DeviceDescriptor { required_features, required_limits, ..Default::default() };
    Ok(adapter.request_device(&descriptor).await?)
}

/// A texture with something on it.
fn the_applications_texture(device: &wgpu::Device, queue: &wgpu::Queue) -> wgpu::TextureView {
    let (width, height) = (640, 480);
    let size = wgpu::Extent3d { width, height, depth_or_array_layers: 1 };
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: Some("camera"),
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Bgra8UnormSrgb,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    });
    let pixel = |i: u32| [(i % width / 3) as u8, (i / width / 2) as u8, (i / 1000) as u8, 255];
    let pixels: Vec<u8> = (0..width * height).flat_map(pixel).collect();
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(width * 4), rows_per_image: None };
    queue.write_texture(texture.as_image_copy(), &pixels, layout, size);
    texture.create_view(&Default::default())
}
