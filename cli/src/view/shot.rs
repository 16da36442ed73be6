//! A picture of the window, for `--screenshot`.

use super::gpu::Gpu;
use crate::failure::{Failure, Outcome};
use mobilenet_wgpu::wgpu;
use std::path::Path;

/// A texture to draw the window into a second time.
pub fn target(gpu: &Gpu) -> wgpu::Texture {
    let [width, height] = gpu.size();
    gpu.device.create_texture(&wgpu::TextureDescriptor {
        label: Some("screenshot"),
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: gpu.format(),
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    })
}

/// Writes the texture as a PNG.
pub fn save(gpu: &Gpu, texture: &wgpu::Texture, path: &Path) -> Outcome<()> {
    let failed = |what: String| Failure::new(format!("{}: the screenshot cannot be written: {what}", path.display()));
    let size = texture.size();
    let row = (size.width * 4).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
    let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("screenshot"),
        size: u64::from(row) * u64::from(size.height),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(row), rows_per_image: None };
    encoder.copy_texture_to_buffer(texture.as_image_copy(), wgpu::TexelCopyBufferInfo { buffer: &buffer, layout }, size);
    gpu.queue.submit([encoder.finish()]);
    let (send, receive) = std::sync::mpsc::channel();
    buffer.map_async(wgpu::MapMode::Read, .., move |result| {
        let _ = send.send(result);
    });
    gpu.device.poll(wgpu::PollType::wait_indefinitely()).map_err(|e| failed(e.to_string()))?;
    receive.recv().map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()))?;
    let bytes = buffer.get_mapped_range(..).map_err(|e| failed(e.to_string()))?;
    let blue_first = matches!(texture.format(), wgpu::TextureFormat::Bgra8Unorm | wgpu::TextureFormat::Bgra8UnormSrgb);
    let mut rgb = Vec::with_capacity(size.width as usize * size.height as usize * 3);
    for line in bytes.chunks(row as usize) {
        for pixel in line[..size.width as usize * 4].as_chunks::<4>().0 {
            let [a, b, c, _] = *pixel;
            rgb.extend(if blue_first { [c, b, a] } else { [a, b, c] });
        }
    }
    image::save_buffer(path, &rgb, size.width, size.height, image::ColorType::Rgb8).map_err(|e| failed(e.to_string()))
}
