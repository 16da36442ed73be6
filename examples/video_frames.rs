//! A video's frames, one at a time and three in flight: `cargo run --release --example video_frames MODEL [FRAMES]`.
//!
//! In flight, the host prepares a frame while the GPU computes the ones before; the results come in the frames' order.

use mobilenet_wgpu::engine::{Engine, Input, Pending, SessionOptions};
use mobilenet_wgpu::gpu::AdapterOptions;
use mobilenet_wgpu::{Model, Picture};
use std::collections::VecDeque;
use std::time::Instant;

const IN_FLIGHT: usize = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = Model::open(arguments.next().ok_or("usage: video_frames MODEL [FRAMES]")?)?;
    let frames: u32 = arguments.next().map_or(Ok(200), |n| n.parse())?;
    let engine = Engine::open(&AdapterOptions::default())?;
    let outputs = vec!["logits".into()];
    let mut session = engine.session(&model, &SessionOptions { in_flight: IN_FLIGHT, outputs, ..Default::default() })?;
    let rule = model.preprocessing();
    // Warm: buffers grow to their size.
    session.run(Input::Pictures(&[frame(0)?], rule))?;

    let mut rates = Vec::new();
    let mut results: Vec<Vec<Vec<f32>>> = Vec::new();
    for most in [1, IN_FLIGHT] {
        let start = Instant::now();
        let mut flying: VecDeque<Pending> = VecDeque::new();
        let mut logits = Vec::new();
        let mut take = |pending: Pending| -> mobilenet_wgpu::Result<()> {
            logits.extend(pending.wait()?.tensors.into_iter().map(|(_, tensor)| tensor.data));
            Ok(())
        };
        for index in 0..frames {
            if flying.len() == most
                && let Some(oldest) = flying.pop_front()
            {
                take(oldest)?;
            }
            flying.push_back(session.submit(Input::Pictures(&[frame(index)?], rule))?);
        }
        flying.into_iter().try_for_each(&mut take)?;
        let rate = f64::from(frames) / start.elapsed().as_secs_f64();
        println!("{most} in flight: {rate:.1} frames a second");
        rates.push(rate);
        results.push(logits);
    }
    println!("{:.2} times as many", rates[1] / rates[0]);
    if results[0] != results[1] {
        return Err("the results differ".into());
    }
    Ok(())
}

/// A ball that crosses a picture: the work of a video decoder.
fn frame(index: u32) -> mobilenet_wgpu::Result<Picture> {
    let (width, height) = (320u32, 240u32);
    let centre = [index * 5 % width, height / 2];
    let pixel = |i: u32| {
        let (x, y) = (i % width, i / width);
        let inside = x.abs_diff(centre[0]).pow(2) + y.abs_diff(centre[1]).pow(2) < 40 * 40;
        if inside { [230, 90, 40, 255] } else { [(x / 2) as u8, y as u8, 120, 255] }
    };
    Picture::from_rgba(width, height, (0..width * height).flat_map(pixel).collect())
}
