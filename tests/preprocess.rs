//! The preprocessing kernels: they translate for every platform, and give what the CPU gives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mobilenet_wgpu::engine::Engine;
use mobilenet_wgpu::kernel::{Precision, specialise};
use mobilenet_wgpu::picture::{ChannelOrder, FRAME_KERNELS, Interpolation, KERNELS, Picture, Preprocessing, Preprocessor, Resize, Target};
use mobilenet_wgpu::wgpu;
use naga::back::{hlsl, msl, spv};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use proptest::prelude::*;

#[path = "common/gpu.rs"]
mod gpu;

#[test]
fn kernels_translate_for_every_platform() {
    for (name, source) in KERNELS.into_iter().chain(FRAME_KERNELS) {
        for precision in Precision::ALL {
            let source = specialise(source, precision);
            let module = naga::front::wgsl::parse_str(&source).unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(&source)));
            let info = Validator::new(ValidationFlags::all(), Capabilities::SHADER_FLOAT16).validate(&module).unwrap();
            spv::write_vec(&module, &info, &spv::Options { lang_version: (1, 3), ..Default::default() }, None).unwrap();
            let options = msl::Options { fake_missing_bindings: true, ..Default::default() };
            msl::write_string(&module, &info, &options, &Default::default()).unwrap();
            let options = hlsl::Options { shader_model: hlsl::ShaderModel::V6_2, fake_missing_bindings: true, ..Default::default() };
            hlsl::Writer::new(&mut String::new(), &options, &Default::default()).write(&module, &info, None).unwrap();
        }
    }
}

/// Noise: nothing averages out.
fn picture(height: u32, width: u32, seed: u64) -> Picture {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    Picture::from_rgba(width, height, (0..height * width * 4).map(|_| byte()).collect()).unwrap()
}

fn input_buffer(engine: &Engine, size: [u32; 2], batch: u32) -> wgpu::Buffer {
    engine.device().create_buffer(&wgpu::BufferDescriptor {
        label: Some("input"),
        size: u64::from(size[0] * size[1] * batch) * 16,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: false,
    })
}

/// Submits `encoder` and gives what `buffer` then holds.
fn read(engine: &Engine, mut encoder: wgpu::CommandEncoder, buffer: &wgpu::Buffer) -> Vec<f32> {
    let staging = engine.device().create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: buffer.size(),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
    engine.queue().submit([encoder.finish()]);
    staging.slice(..).map_async(wgpu::MapMode::Read, Result::unwrap);
    engine.device().poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let view = staging.get_mapped_range(..).unwrap();
    bytemuck::pod_collect_to_vec(&view)
}

fn encoder(engine: &Engine) -> wgpu::CommandEncoder {
    engine.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
}

/// All pictures in one encoder, each at its place, against the CPU.
fn compare(engine: &Engine, preprocessor: &mut Preprocessor, rule: &Preprocessing, size: [u32; 2], pictures: &[Picture]) {
    let buffer = input_buffer(engine, size, pictures.len() as u32);
    let mut encoder = encoder(engine);
    for (place, picture) in (0..).zip(pictures) {
        preprocessor.encode(&mut encoder, picture, rule, &Target { buffer: &buffer, size, place }).unwrap();
    }
    let found = read(engine, encoder, &buffer);
    for (picture, found) in pictures.iter().zip(found.chunks((size[0] * size[1] * 4) as usize)) {
        let expected = rule.apply(picture, size).unwrap().data;
        for (i, (found, expected)) in found.chunks(4).zip(expected.chunks(3)).enumerate() {
            assert_eq!(found[3], 0.0);
            for channel in 0..3 {
                let difference = (found[channel] - expected[channel]).abs();
                assert!(difference <= 1e-6, "{picture:?} to {size:?}, pixel {i}: {found:?}, not {expected:?}");
                let byte = |value: f32| ((value * rule.std[channel] + rule.mean[channel]) * 255.0).round();
                assert_eq!(byte(found[channel]), byte(expected[channel]));
            }
        }
    }
}

fn preprocessor(engine: &Engine) -> Preprocessor {
    pollster::block_on(Preprocessor::new(engine.device(), Precision::F32)).unwrap()
}

#[test]
fn a_batch_in_one_encoder_is_the_cpus() {
    let Some(engine) = gpu::engine() else { return };
    let mut preprocessor = preprocessor(engine);
    let pictures = [picture(300, 200, 1), picture(64, 48, 2), picture(1, 1, 3), picture(130, 777, 4), picture(224, 224, 5)];
    for rule in [Preprocessing::TENSORFLOW, Preprocessing::TORCH, Preprocessing::CAFFE] {
        compare(engine, &mut preprocessor, &rule, [97, 63], &pictures);
    }
    let bicubic = Preprocessing {
        interpolation: Interpolation::Bicubic,
        resize: Resize::CentreCropFloor { crop_pct: 0.95 },
        order: ChannelOrder::Bgr,
        ..Preprocessing::TORCH
    };
    compare(engine, &mut preprocessor, &bicubic, [64, 64], &pictures);
    compare(engine, &mut preprocessor, &Preprocessing { resize: Resize::Squash, ..bicubic }, [33, 50], &pictures);
}

#[test]
fn large_pictures_go_up_in_bands() {
    let Some(engine) = gpu::engine() else { return };
    let pictures = [picture(500, 300, 6), picture(20, 700, 7)];
    for bytes in [20_000, 70_000, 200_000] {
        let mut preprocessor = preprocessor(engine).with_band_bytes(bytes);
        compare(engine, &mut preprocessor, &Preprocessing::TORCH, [32, 40], &pictures);
        compare(engine, &mut preprocessor, &Preprocessing { resize: Resize::Squash, ..Preprocessing::TORCH }, [50, 21], &pictures);
    }
    let tiny = &mut preprocessor(engine).with_band_bytes(100);
    let buffer = input_buffer(engine, [32, 32], 1);
    let target = Target { buffer: &buffer, size: [32, 32], place: 0 };
    let error = tiny.encode(&mut encoder(engine), &pictures[0], &Preprocessing::TORCH, &target).unwrap_err();
    assert!(error.to_string().contains("max_storage_buffer_binding_size"), "{error}");
}

#[test]
fn a_place_outside_the_target_is_an_error() {
    let Some(engine) = gpu::engine() else { return };
    let buffer = input_buffer(engine, [8, 8], 2);
    let encode = |place| {
        let target = Target { buffer: &buffer, size: [8, 8], place };
        preprocessor(engine).encode(&mut encoder(engine), &picture(9, 9, 1), &Preprocessing::TORCH, &target)
    };
    encode(1).unwrap();
    assert!(encode(2).unwrap_err().to_string().contains("place 2"));
}

/// Encoders that are thrown away take their staging memory with them; the others give it back.
#[test]
fn staging_memory_survives_abandoned_encoders() {
    let Some(engine) = gpu::engine() else { return };
    let mut preprocessor = preprocessor(engine);
    let buffer = input_buffer(engine, [32, 32], 1);
    let target = Target { buffer: &buffer, size: [32, 32], place: 0 };
    for seed in 0..6 {
        let mut encoder = encoder(engine);
        preprocessor.encode(&mut encoder, &picture(50, 60, seed), &Preprocessing::TORCH, &target).unwrap();
    }
    compare(engine, &mut preprocessor, &Preprocessing::TORCH, [32, 32], &[picture(50, 60, 9)]);
}

#[test]
fn nothing_is_allocated_after_warm_up() {
    let Some(engine) = gpu::engine() else { return };
    let mut preprocessor = preprocessor(engine);
    let pictures = [picture(300, 200, 1), picture(100, 120, 2)];
    for _ in 0..3 {
        compare(engine, &mut preprocessor, &Preprocessing::TORCH, [64, 64], &pictures);
    }
    let made = preprocessor.buffers_made();
    for _ in 0..5 {
        compare(engine, &mut preprocessor, &Preprocessing::TORCH, [64, 64], &pictures);
    }
    assert_eq!(preprocessor.buffers_made(), made);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn odd_sizes_are_the_cpus(
        from in (1u32..200, 1u32..200), to in (1u32..80, 1u32..80), seed in any::<u64>(),
        bicubic in any::<bool>(), squash in any::<bool>(), band in 900u64..100_000,
    ) {
        let Some(engine) = gpu::engine() else { return Ok(()) };
        let rule = Preprocessing {
            interpolation: if bicubic { Interpolation::Bicubic } else { Interpolation::Bilinear },
            resize: if squash { Resize::Squash } else { Resize::CentreCrop { crop_pct: 0.875 } },
            ..Preprocessing::TORCH
        };
        // A band that holds a row, and the rows that become one.
        let band = band.max(u64::from(from.1 * 4)).max(u64::from((from.0 * 4 + 8) * to.1 * 4));
        let mut preprocessor = preprocessor(engine).with_band_bytes(band);
        compare(engine, &mut preprocessor, &rule, [to.0, to.1], &[picture(from.0, from.1, seed)]);
    }
}
