//! The ways to wait for an inference without asking again and again: a callback, and a future that sleeps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/gpu.rs"]
mod gpu;
#[path = "common/rule.rs"]
mod rule;

use mobilenet_wgpu::engine::{Engine, Input, Outputs, Session, SessionOptions};
use mobilenet_wgpu::gpu::AdapterOptions;
use mobilenet_wgpu::model::{LoadOptions, Model};
use mobilenet_wgpu::{Error, Result, Tensor, wgpu};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

const CASE: &str = "torchvision_v2_035";

/// An engine on a device that nobody else polls, a session with a ring of one, and an input that takes a while.
fn own(batch: u32) -> Option<(Engine, Session, Tensor)> {
    gpu::engine()?;
    let engine = Engine::open(&AdapterOptions::default()).unwrap();
    let case = rule::case(CASE);
    let model = Model::from_bytes(case.checkpoint(), &LoadOptions::default()).unwrap();
    let size = Some([case.height as u32, case.width_px as u32]);
    let session = engine.session(&model, &SessionOptions { size, batch, in_flight: 1, ..Default::default() }).unwrap();
    let shape = session.plan().input;
    let one = case.input_nhwc()[..shape.elements() as usize].to_vec();
    let tensor = Tensor::from_nhwc(batch, shape, one.repeat(batch as usize)).unwrap();
    Some((engine, session, tensor))
}

/// A callback, and what it was called with.
fn callback() -> (impl FnOnce(Result<Outputs>) + Send + 'static, Receiver<Result<Outputs>>) {
    let (sender, receiver) = channel();
    (move |outputs| sender.send(outputs).unwrap(), receiver)
}

fn poll(engine: &Engine) {
    engine.device().poll(wgpu::PollType::wait_indefinitely()).unwrap();
}

#[test]
fn a_callback_is_called_where_the_device_is_polled() {
    let Some((engine, mut session, tensor)) = own(16) else { return };
    let expected = session.run(Input::Tensor(&tensor)).unwrap();
    for _ in 0..3 {
        let (told, heard) = callback();
        session.submit(Input::Tensor(&tensor)).unwrap().on_ready(told);
        poll(&engine);
        assert_eq!(heard.try_recv().unwrap().unwrap(), expected);
    }
    // From another thread, which polls; the ring's one place is free when the callback is called.
    let (told, heard) = callback();
    let thread = Arc::new(Mutex::new(None));
    let seen = thread.clone();
    session.submit(Input::Tensor(&tensor)).unwrap().on_ready(move |outputs| {
        *seen.lock().unwrap() = Some(std::thread::current().id());
        told(outputs);
    });
    let poller = std::thread::scope(|scope| {
        let poller = scope.spawn(|| poll(&engine));
        let id = poller.thread().id();
        poller.join().unwrap();
        id
    });
    assert_eq!(heard.recv().unwrap().unwrap(), expected);
    assert_eq!(thread.lock().unwrap().unwrap(), poller);
    assert!(heard.recv().is_err(), "once");
    assert_eq!(session.run(Input::Tensor(&tensor)).unwrap(), expected);
}

#[test]
fn a_callback_is_called_whatever_comes() {
    let Some((engine, mut session, tensor)) = own(1) else { return };
    let expected = session.run(Input::Tensor(&tensor)).unwrap();
    // The outputs are there already: before `on_ready` returns.
    let (told, heard) = callback();
    let pending = session.submit(Input::Tensor(&tensor)).unwrap();
    poll(&engine);
    pending.on_ready(told);
    assert_eq!(heard.try_recv().unwrap().unwrap(), expected);
    // Left on the device.
    let (told, heard) = callback();
    let mut encoder = engine.device().create_command_encoder(&Default::default());
    session.encode_on_device(&mut encoder, Input::Tensor(&tensor)).unwrap().on_ready(told);
    engine.queue().submit([encoder.finish()]);
    poll(&engine);
    assert!(heard.try_recv().unwrap().unwrap().tensors.is_empty());
    // Taken before.
    let (told, heard) = callback();
    let mut pending = session.submit(Input::Tensor(&tensor)).unwrap();
    poll(&engine);
    assert!(pending.try_take().unwrap().is_some());
    pending.on_ready(told);
    assert!(matches!(heard.try_recv().unwrap(), Err(Error::Device(_))));
    // Thrown away with its encoder.
    let (told, heard) = callback();
    let mut encoder = engine.device().create_command_encoder(&Default::default());
    session.encode(&mut encoder, Input::Tensor(&tensor)).unwrap().on_ready(told);
    assert!(heard.try_recv().is_err());
    drop(encoder);
    assert!(matches!(heard.try_recv().unwrap(), Err(Error::Device(message)) if message.contains("without being submitted")));
    // The device is lost while it is under way, and what the device says later is not told again.
    let (told, heard) = callback();
    session.submit(Input::Tensor(&tensor)).unwrap().on_ready(told);
    engine.notify_lost();
    assert!(matches!(heard.try_recv().unwrap(), Err(Error::DeviceLost(_))));
    poll(&engine);
    assert!(heard.try_recv().is_err());
}

/// A callback that was never called does not keep the device: it is called when the last who holds it goes.
#[test]
fn a_callback_does_not_keep_the_device() {
    let Some((engine, mut session, tensor)) = own(1) else { return };
    let (told, heard) = callback();
    session.submit(Input::Tensor(&tensor)).unwrap().on_ready(told);
    drop((session, engine));
    heard.recv_timeout(Duration::from_secs(30)).unwrap().unwrap();
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_future_is_woken_by_whoever_polls_the_device() {
    let Some((engine, mut session, tensor)) = own(1) else { return };
    let expected = session.run(Input::Tensor(&tensor)).unwrap();
    let mut encoder = engine.device().create_command_encoder(&Default::default());
    let mut pending = session.encode(&mut encoder, Input::Tensor(&tensor)).unwrap();
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    let mut context = Context::from_waker(&waker);
    assert!(Pin::new(&mut pending).poll(&mut context).is_pending());
    assert_eq!(count.0.load(Ordering::SeqCst), 0, "it does not wake itself");
    engine.queue().submit([encoder.finish()]);
    poll(&engine);
    assert!(count.0.load(Ordering::SeqCst) > 0);
    assert!(matches!(Pin::new(&mut pending).poll(&mut context), Poll::Ready(Ok(outputs)) if outputs == expected));
}

/// `future` to its end, on an executor that does nothing else, and how often it was polled.
fn block_on<F: Future + Unpin>(mut future: F) -> (F::Output, usize) {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    for polls in 1.. {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
            return (output, polls);
        }
        std::thread::park();
    }
    unreachable!()
}

#[test]
fn a_future_that_nobody_else_polls_for_comes_to_its_end_without_spinning() {
    let Some((_engine, mut session, tensor)) = own(32) else { return };
    let expected = session.run(Input::Tensor(&tensor)).unwrap();
    for _ in 0..3 {
        let start = Instant::now();
        let (outputs, polls) = block_on(session.submit(Input::Tensor(&tensor)).unwrap());
        let elapsed = start.elapsed();
        assert_eq!(outputs.unwrap(), expected);
        // At most every 50 us, later every eighth of what has passed.
        assert!(polls as u128 <= 3 + elapsed.as_micros() / 50, "{polls} polls in {elapsed:?}");
        println!("{polls} polls in {elapsed:?}");
    }
    // After the thread that wakes has gone, and with any executor.
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(pollster::block_on(session.run_async(Input::Tensor(&tensor))).unwrap(), expected);
}
