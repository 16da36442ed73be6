//! Frames that are on the device: each kind of source, however it is turned, gives what its twin on the CPU gives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/gpu.rs"]
mod gpu;

use mobilenet_wgpu::engine::Engine;
use mobilenet_wgpu::kernel::Precision;
use mobilenet_wgpu::picture::{
    ChromaOrder, ChromaSiting, Crop, FRAME_KERNELS, Frame, FramePreprocessor, FrameSource, Framing, Interpolation, Picture, Preprocessing,
    Resize, Rotation, Yuv, YuvMatrix, YuvRange,
};
use mobilenet_wgpu::{Error, wgpu};
use wgpu::TextureFormat as F;

/// Noise: nothing averages out.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..bytes).map(|_| byte()).collect()
}

fn picture(height: u32, width: u32) -> Picture {
    Picture::from_rgba(width, height, noise((height * width * 4) as usize)).unwrap()
}

fn texture(engine: &Engine, format: F, [height, width]: [u32; 2], bytes: &[u8]) -> wgpu::Texture {
    let size = wgpu::Extent3d { width, height, depth_or_array_layers: 1 };
    let descriptor = wgpu::TextureDescriptor {
        label: None,
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[format.add_srgb_suffix()],
    };
    let texture = engine.device().create_texture(&descriptor);
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(bytes.len() as u32 / height), rows_per_image: None };
    engine.queue().write_texture(texture.as_image_copy(), bytes, layout, size);
    texture
}

fn buffer(engine: &Engine, bytes: &[u8]) -> wgpu::Buffer {
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
    let descriptor = wgpu::BufferDescriptor { label: None, size: bytes.len() as u64, usage, mapped_at_creation: false };
    let buffer = engine.device().create_buffer(&descriptor);
    engine.queue().write_buffer(&buffer, 0, bytes);
    buffer
}

/// The picture's pixels as a texture of `format`.
fn upload(engine: &Engine, format: F, picture: &Picture) -> wgpu::TextureView {
    let pixels = picture.rgba().chunks_exact(4);
    let bytes = match format.remove_srgb_suffix() {
        F::Rgba8Unorm => picture.rgba().to_vec(),
        F::Bgra8Unorm => pixels.flat_map(|p| [p[2], p[1], p[0], p[3]]).collect(),
        F::Rgba16Float => picture.rgba().iter().flat_map(|v| half::f16::from_f32(f32::from(*v) / 255.0).to_le_bytes()).collect(),
        other => panic!("{other:?}"),
    };
    texture(engine, format, picture.size(), &bytes).create_view(&Default::default())
}

/// What the network is given for `frames`.
fn input(engine: &Engine, frames: &[Frame<'_>], rule: &Preprocessing, size: [u32; 2]) -> Vec<f32> {
    let bytes = u64::from(size[0] * size[1]) * 16 * frames.len() as u64;
    let buffer =
        |usage| engine.device().create_buffer(&wgpu::BufferDescriptor { label: None, size: bytes, usage, mapped_at_creation: false });
    let output = buffer(wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
    let staging = buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
    let mut preprocessor = FramePreprocessor::new(engine.device(), Precision::F32, frames.len() as u32).unwrap();
    let mut encoder = engine.device().create_command_encoder(&Default::default());
    preprocessor.encode(&mut encoder, frames, rule, &output, size).unwrap();
    encoder.copy_buffer_to_buffer(&output, 0, &staging, 0, bytes);
    engine.queue().submit([encoder.finish()]);
    staging.slice(..).map_async(wgpu::MapMode::Read, Result::unwrap);
    engine.device().poll(wgpu::PollType::wait_indefinitely()).unwrap();
    bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..).unwrap())
}

/// Within one grey level of the twin.
fn assert_agrees(what: &str, found: &[f32], picture: &Picture, rule: &Preprocessing, size: [u32; 2]) {
    let expected = rule.apply(picture, size).unwrap();
    let mut worst = 0f32;
    for (found, expected) in found.chunks_exact(4).zip(expected.data.chunks_exact(3)) {
        assert_eq!(found[3], 0.0, "{what}: the fourth lane");
        for channel in 0..3 {
            worst = worst.max((found[channel] - expected[channel]).abs() * rule.std[channel] * 255.0);
        }
    }
    assert_eq!(found.len() / 4, expected.data.len() / 3);
    assert!(worst < 1.01, "{what}: {worst} grey levels");
}

#[test]
fn every_format_and_filter_gives_what_the_cpu_gives() {
    let Some(engine) = gpu::engine() else { return };
    let rules = [
        Preprocessing::TORCH,
        Preprocessing { interpolation: Interpolation::Bicubic, ..Preprocessing::CAFFE },
        Preprocessing { resize: Resize::Squash, ..Preprocessing::TENSORFLOW },
    ];
    for [height, width] in [[61, 97], [20, 9], [300, 211]] {
        let picture = picture(height, width);
        for format in [F::Rgba8Unorm, F::Rgba8UnormSrgb, F::Bgra8Unorm, F::Bgra8UnormSrgb, F::Rgba16Float] {
            let view = upload(engine, format, &picture);
            for rule in &rules {
                let found = input(engine, &[Frame::texture(&view)], rule, [32, 40]);
                assert_agrees(&format!("{format:?} {height}x{width} {rule:?}"), &found, &picture, rule, [32, 40]);
            }
        }
    }
}

#[test]
fn a_view_of_another_encoding_than_its_texture_is_told_so() {
    let Some(engine) = gpu::engine() else { return };
    let picture = picture(50, 40);
    let texture = texture(engine, F::Rgba8Unorm, picture.size(), picture.rgba());
    let view = texture.create_view(&wgpu::TextureViewDescriptor { format: Some(F::Rgba8UnormSrgb), ..Default::default() });
    let frame = Frame::from(FrameSource::Texture { view: &view, size: None, srgb: Some(true) });
    let found = input(engine, &[frame], &Preprocessing::TORCH, [24, 24]);
    assert_agrees("an sRGB view", &found, &picture, &Preprocessing::TORCH, [24, 24]);
}

/// All framings in one batch.
#[test]
fn frames_are_cropped_turned_and_mirrored() {
    let Some(engine) = gpu::engine() else { return };
    let (whole, rule, size) = (picture(60, 90), Preprocessing::TORCH, [20, 28]);
    let (view, pixels) = (upload(engine, F::Rgba8Unorm, &whole), buffer(engine, whole.rgba()));
    let crops = [None, Some(Crop { top: 7, left: 30, height: 41, width: 33 })];
    let rotations = [Rotation::None, Rotation::Quarter, Rotation::Half, Rotation::ThreeQuarters];
    let mut framings = Vec::new();
    for crop in crops {
        for rotation in rotations {
            framings.extend([false, true].map(|mirror| Framing { crop, rotation, mirror }));
        }
    }
    let frames: Vec<_> = framings
        .iter()
        .flat_map(|framing| [Frame::texture(&view).framed(*framing), Frame::buffer(&pixels, whole.size()).framed(*framing)])
        .collect();
    let found = input(engine, &frames, &rule, size);
    for (frame, found) in frames.iter().zip(found.chunks_exact((size[0] * size[1] * 4) as usize)) {
        let seen = frame.framing.apply(&whole).unwrap();
        assert_agrees(&format!("{frame:?}"), found, &seen, &rule, size);
    }
}

#[test]
fn turning_is_clockwise_and_mirroring_comes_last() {
    let numbers = |bytes: &[u8]| bytes.chunks_exact(4).map(|p| p[0]).collect::<Vec<_>>();
    let picture = Picture::from_rgba(3, 2, (0..6).flat_map(|v| [v, v, v, 255]).collect()).unwrap();
    let turned = |rotation, mirror| Framing { crop: None, rotation, mirror }.apply(&picture).unwrap();
    // 0 1 2      3 0
    // 3 4 5  to  4 1
    //            5 2
    let quarter = turned(Rotation::Quarter, false);
    assert_eq!((quarter.size(), numbers(quarter.rgba())), ([3, 2], vec![3, 0, 4, 1, 5, 2]));
    assert_eq!(numbers(turned(Rotation::Quarter, true).rgba()), [0, 3, 1, 4, 2, 5]);
    assert_eq!(numbers(turned(Rotation::Half, false).rgba()), [5, 4, 3, 2, 1, 0]);
    assert_eq!(numbers(turned(Rotation::ThreeQuarters, false).rgba()), [2, 5, 1, 4, 0, 3]);
    assert_eq!(numbers(turned(Rotation::None, true).rgba()), [2, 1, 0, 5, 4, 3]);
}

#[test]
fn planes_mean_what_the_standards_say() {
    // BT.709 in limited range: white, black, and the red and blue primaries as they are published.
    let yuv = Yuv { matrix: YuvMatrix::Bt709, range: YuvRange::Limited, ..Yuv::default() };
    for (luma, chroma, expected) in
        [(235, [128, 128], [255, 255, 255]), (16, [128, 128], [0, 0, 0]), (63, [102, 240], [255, 1, 0]), (32, [240, 118], [0, 0, 255])]
    {
        let rgba = yuv.picture([1, 1], &[luma], &chroma).unwrap().into_rgba();
        for (found, expected) in rgba.iter().zip(expected) {
            assert!(found.abs_diff(expected) <= 2, "{luma} {chroma:?}: {rgba:?}");
        }
    }
    // NV21 is the same with the two values of chroma exchanged.
    let swapped = Yuv { order: ChromaOrder::CrCb, ..yuv };
    assert_eq!(swapped.picture([1, 1], &[63], &[240, 102]).unwrap(), yuv.picture([1, 1], &[63], &[102, 240]).unwrap());
    let Some(engine) = gpu::engine() else { return };
    let size = [51u32, 37];
    let half = size.map(|side| side.div_ceil(2));
    let (luma, chroma) = (noise((size[0] * size[1]) as usize), noise((half[0] * half[1] * 2) as usize));
    let luma_view = texture(engine, F::R8Unorm, size, &luma).create_view(&Default::default());
    let chroma_view = texture(engine, F::Rg8Unorm, half, &chroma).create_view(&Default::default());
    let framing = Framing { rotation: Rotation::Quarter, ..Default::default() };
    for matrix in [YuvMatrix::Bt601, YuvMatrix::Bt709] {
        for range in [YuvRange::Full, YuvRange::Limited] {
            for (siting, order) in [(ChromaSiting::Left, ChromaOrder::CbCr), (ChromaSiting::Centre, ChromaOrder::CrCb)] {
                let yuv = Yuv { matrix, range, siting, order };
                let frame = Frame::nv12(&luma_view, &chroma_view, yuv).framed(framing);
                let found = input(engine, &[frame], &Preprocessing::TORCH, [24, 24]);
                let picture = framing.apply(&yuv.picture(size, &luma, &chroma).unwrap()).unwrap();
                assert_agrees(&format!("{yuv:?}"), &found, &picture, &Preprocessing::TORCH, [24, 24]);
            }
        }
    }
}

/// A texture with a picture of its own in each level.
fn levels(engine: &Engine, pictures: &[Picture]) -> wgpu::Texture {
    let extent = |picture: &Picture| wgpu::Extent3d { width: picture.width(), height: picture.height(), depth_or_array_layers: 1 };
    let texture = engine.device().create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: extent(&pictures[0]),
        mip_level_count: pictures.len() as u32,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: F::Rgba8Unorm,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    });
    for (level, picture) in (0..).zip(pictures) {
        let target = wgpu::TexelCopyTextureInfo { mip_level: level, ..texture.as_image_copy() };
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(picture.width() * 4), rows_per_image: None };
        engine.queue().write_texture(target, picture.rgba(), layout, extent(picture));
    }
    texture
}

#[test]
fn a_view_of_a_mip_level_is_as_large_as_that_level() {
    let Some(engine) = gpu::engine() else { return };
    let (rule, size) = (Preprocessing::TORCH, [24, 24]);
    let pictures = [picture(61, 97), picture(30, 48), picture(15, 24), picture(7, 12), picture(3, 6), picture(1, 3)];
    let texture = levels(engine, &pictures);
    let view = |level: u32, count| {
        let descriptor = wgpu::TextureViewDescriptor { base_mip_level: level, mip_level_count: count, ..Default::default() };
        texture.create_view(&descriptor)
    };
    let views: Vec<_> = (0..pictures.len() as u32).flat_map(|level| [view(level, None), view(level, Some(1))]).collect();
    // All of them in one batch, turned too.
    let framing = Framing { rotation: Rotation::Quarter, ..Default::default() };
    let frames: Vec<_> = views.iter().map(|view| Frame::texture(view).framed(framing)).collect();
    let found = input(engine, &frames, &rule, size);
    for (i, found) in found.chunks_exact((size[0] * size[1] * 4) as usize).enumerate() {
        let seen = framing.apply(&pictures[i / 2]).unwrap();
        assert_agrees(&format!("level {}", i / 2), found, &seen, &rule, size);
    }
    // In part, if the size is said.
    let framing = Framing { crop: Some(Crop { top: 2, left: 3, height: 11, width: 17 }), ..Default::default() };
    let part = |size| Frame::from(FrameSource::Texture { view: &views[4], size, srgb: None }).framed(framing);
    let seen = framing.apply(&pictures[2]).unwrap();
    assert_agrees("a crop", &input(engine, &[part(Some([15, 24]))], &rule, size), &seen, &rule, size);
    let output = buffer(engine, &[0; 64]);
    let mut encoder = engine.device().create_command_encoder(&Default::default());
    let mut preprocessor = FramePreprocessor::new(engine.device(), Precision::F32, 1).unwrap();
    let error = preprocessor.encode(&mut encoder, &[part(None)], &rule, &output, [2, 2]).unwrap_err();
    assert!(matches!(&error, Error::Input(message) if message.contains("6 mip levels")), "{error}");
}

#[test]
fn padded_rows_and_a_part_of_a_texture_are_seen_as_they_are() {
    let Some(engine) = gpu::engine() else { return };
    let (whole, rule) = (picture(40, 50), Preprocessing::TORCH);
    let part = |top, left| Framing { crop: Some(Crop { top, left, height: 30, width: 21 }), ..Default::default() }.apply(&whole).unwrap();
    let (view, pixels) = (upload(engine, F::Rgba8Unorm, &whole), buffer(engine, whole.rgba()));
    let frame = Frame::from(FrameSource::Texture { view: &view, size: Some([30, 21]), srgb: None });
    assert_agrees("a part", &input(engine, &[frame], &rule, [24, 24]), &part(0, 0), &rule, [24, 24]);
    let offset = (3 * 50 + 5) * 4;
    let frame = Frame::from(FrameSource::Buffer { buffer: &pixels, offset, size: [30, 21], row_bytes: 200 });
    assert_agrees("rows", &input(engine, &[frame], &rule, [24, 24]), &part(3, 5), &rule, [24, 24]);
}

#[test]
fn what_cannot_be_read_is_an_error_that_says_why() {
    let Some(engine) = gpu::engine() else { return };
    let grey = texture(engine, F::R8Unorm, [4, 4], &[0; 16]).create_view(&Default::default());
    let pixels = buffer(engine, &[0; 64]);
    let whole = Frame::buffer(&pixels, [4, 4]);
    let outside = Framing { crop: Some(Crop { top: 2, left: 0, height: 3, width: 4 }), ..Default::default() };
    let output = buffer(engine, &[0; 64]);
    let mut preprocessor = FramePreprocessor::new(engine.device(), Precision::F32, 1).unwrap();
    for (frame, expected) in [
        (Frame::texture(&grey), "R8Unorm"),
        (Frame::buffer(&pixels, [4, 5]), "the buffer has 64"),
        (Frame::from(FrameSource::Buffer { buffer: &pixels, offset: 2, size: [1, 1], row_bytes: 4 }), "multiples of 4"),
        (whole.framed(outside), "does not lie in a frame of 4x4"),
    ] {
        let mut encoder = engine.device().create_command_encoder(&Default::default());
        let error = preprocessor.encode(&mut encoder, &[frame], &Preprocessing::TORCH, &output, [2, 2]).unwrap_err();
        assert!(matches!(&error, Error::Input(message) if message.contains(expected)), "{error}");
    }
}

/// The three kernels differ in their bindings, their comments on these, and in how a pixel is read.
#[test]
fn the_kernels_for_frames_filter_by_the_same_text() {
    let filter = |source: &str| {
        let start = source.find("// The filter at distance").unwrap();
        let uniform = source.find("struct Frame").unwrap()..source.find("@group(0) @binding(0)").unwrap();
        (source[uniform].to_string(), source[start..].to_string())
    };
    for (name, source) in FRAME_KERNELS {
        assert_eq!(filter(source), filter(FRAME_KERNELS[0].1), "{name}");
    }
}
