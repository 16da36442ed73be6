//! Checkpoints that come in piece by piece.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/checkpoint.rs"]
mod checkpoint;
#[path = "common/gpu.rs"]
mod gpu;
#[path = "common/rule.rs"]
mod rule;

use checkpoint::Checkpoint;
use mobilenet_wgpu::engine::{Input, SessionOptions};
use mobilenet_wgpu::graph::Shape;
use mobilenet_wgpu::model::{LoadOptions, Model};
use mobilenet_wgpu::weights::Arriving;
use mobilenet_wgpu::{Error, Tensor};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

const CASE: &str = "torchvision_v2_035";

fn options() -> SessionOptions {
    let case = rule::case(CASE);
    SessionOptions { size: Some([case.height as u32, case.width_px as u32]), ..Default::default() }
}

/// What a future says now.
fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn length_of_header(bytes: &[u8]) -> usize {
    8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize
}

#[test]
fn pieces_of_any_size_make_the_same_model() {
    let bytes = rule::case(CASE).checkpoint();
    let whole = Model::from_bytes(bytes.clone(), &LoadOptions::default()).unwrap();
    for size in [1, 7, 1000, 65_536, bytes.len()] {
        let mut arriving = Arriving::default();
        let model = Model::arriving(&arriving, "", &LoadOptions::default());
        let mut model = pin!(model);
        assert!(poll(model.as_mut()).is_pending());
        for piece in bytes.chunks(size) {
            arriving.push(piece).unwrap();
        }
        assert_eq!(arriving.length(), Some(bytes.len()));
        arriving.finish().unwrap();
        let Poll::Ready(model) = poll(model.as_mut()) else { panic!("the header is there, the model is not") };
        let model = model.unwrap();
        pollster::block_on(model.weights().complete()).unwrap();
        assert_eq!(model.recognition().to_string(), whole.recognition().to_string());
        for name in whole.weights().names() {
            assert_eq!(model.weights().get(name).unwrap(), whole.weights().get(name).unwrap(), "{name}, pieces of {size}");
        }
    }
}

#[test]
fn a_session_is_made_while_the_weights_arrive() {
    let Some(engine) = gpu::engine() else { return };
    let case = rule::case(CASE);
    let bytes = case.checkpoint();
    let shape = Shape::new(case.height as u32, case.width_px as u32, 3);
    let input = Tensor::from_nhwc(1, shape, case.input_nhwc()[..shape.elements() as usize].to_vec()).unwrap();
    let whole = Model::from_bytes(bytes.clone(), &LoadOptions::default()).unwrap();
    let expected = engine.session(&whole, &options()).unwrap().run(Input::Tensor(&input)).unwrap();

    let mut arriving = Arriving::default();
    let model = Model::arriving(&arriving, "", &LoadOptions::default());
    let found = std::thread::scope(|scope| {
        let session = scope.spawn(move || {
            let model = pollster::block_on(model).unwrap();
            let mut session = engine.session(&model, &options()).unwrap();
            session.run(Input::Tensor(&input)).unwrap()
        });
        for piece in bytes.chunks(bytes.len() / 20) {
            arriving.push(piece).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        arriving.finish().unwrap();
        session.join().unwrap()
    });
    assert_eq!(found, expected);
}

/// Weights go up as they come: a damaged one is met before the rest has come.
#[test]
fn a_damaged_tensor_is_met_before_the_end() {
    let Some(engine) = gpu::engine() else { return };
    let mut damaged = Checkpoint::parse(&rule::case(CASE).checkpoint());
    let (first, entry) = damaged.tensors.iter_mut().next().unwrap();
    let first = first.clone();
    entry.bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let bytes = damaged.bytes();
    let mut arriving = Arriving::default();
    let model = Model::arriving(&arriving, "", &LoadOptions::default());
    arriving.push(&bytes[..length_of_header(&bytes)]).unwrap();
    let model = pollster::block_on(model).unwrap();
    let options = options();
    let mut session = pin!(engine.session_async(&model, &options));
    assert!(poll(session.as_mut()).is_pending());
    arriving.push(&bytes[length_of_header(&bytes)..bytes.len() / 2]).unwrap();
    match poll(session.as_mut()) {
        Poll::Ready(Err(Error::Tensor { name, message })) => assert!(message.contains("NaN"), "{name} ({first}): {message}"),
        other => panic!("{:?}", other.map(|session| session.map(|_| "a session"))),
    }
}

#[test]
fn what_ends_too_soon_or_too_late_or_is_no_checkpoint() {
    let bytes = rule::case(CASE).checkpoint();
    let told = |pieces: &[&[u8]], finish: bool| {
        let mut arriving = Arriving::default();
        let model = Model::arriving(&arriving, "", &LoadOptions::default());
        let pushed = pieces.iter().try_for_each(|piece| arriving.push(piece));
        let ended = if finish { pushed.and_then(|()| arriving.finish()) } else { pushed.map(|()| drop(arriving)) };
        let waited = pollster::block_on(async { model.await?.weights().complete().await });
        (ended.err().map(|e| e.to_string()), waited.err().map(|e| e.to_string()))
    };
    let half = &bytes[..bytes.len() / 2];
    let (ended, waited) = told(&[half], true);
    assert!(ended.as_ref().is_some_and(|e| e.contains("cut short")), "{ended:?}");
    assert_eq!(ended, waited);
    let (_, waited) = told(&[half], false);
    assert!(waited.is_some_and(|e| e.contains("cut short")));
    let (_, waited) = told(&[&bytes[..100]], false);
    assert!(waited.is_some_and(|e| e.contains("cut short")));
    let (ended, _) = told(&[&bytes, b"more"], true);
    assert!(ended.is_some_and(|e| e.contains("do not end where the file does")));
    for (foreign, word) in [(&b"<!DOCTYPE html><html></html>"[..], "web page"), (&[7; 5000], "not a safetensors file"), (b"", "empty")] {
        let (ended, waited) = told(&[foreign], true);
        assert!(ended.as_ref().is_some_and(|e| e.contains(word)), "{ended:?}");
        assert_eq!(ended, waited);
    }
    // What was whole stays whole.
    assert_eq!(told(&[&bytes], false), (None, None));
}
