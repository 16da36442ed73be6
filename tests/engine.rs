//! What an engine and its sessions promise, through the public API.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/gpu.rs"]
mod gpu;
#[path = "common/rule.rs"]
mod rule;

use mobilenet_wgpu::engine::{Engine, Input, SessionOptions};
use mobilenet_wgpu::gpu::{AdapterOptions, DeviceClass, DeviceProfile};
use mobilenet_wgpu::graph::Shape;
use mobilenet_wgpu::model::{LoadOptions, Model};
use mobilenet_wgpu::{Error, Tensor, wgpu};

const CASE: &str = "torchvision_v2_035";

fn model() -> Model {
    Model::from_bytes(rule::case(CASE).checkpoint(), &LoadOptions::default()).unwrap()
}

fn input(batch: u32) -> Tensor {
    let case = rule::case(CASE);
    let shape = Shape::new(case.height as u32, case.width_px as u32, 3);
    let one = case.input_nhwc()[..shape.elements() as usize].to_vec();
    // Each picture a little darker than the one before.
    let data = (0..batch).flat_map(|n| one.iter().map(move |v| v * (1.0 - 0.05 * n as f32))).collect();
    Tensor::from_nhwc(batch, shape, data).unwrap()
}

fn options(batch: u32) -> SessionOptions {
    let case = rule::case(CASE);
    SessionOptions { size: Some([case.height as u32, case.width_px as u32]), batch, ..Default::default() }
}

fn logits(outputs: &mobilenet_wgpu::engine::Outputs) -> &[f32] {
    &outputs.get("logits").unwrap().data
}

#[test]
fn a_batch_gives_what_its_pictures_give_alone() {
    let Some(engine) = gpu::engine() else { return };
    let all = input(5);
    let whole = engine.session(&model(), &options(5)).unwrap().run(Input::Tensor(&all)).unwrap();
    // A session for two takes five in three parts; one for eight takes five as they are.
    for batch in [1, 2, 8] {
        let mut session = engine.session(&model(), &options(batch)).unwrap();
        let parts = session.run(Input::Tensor(&all)).unwrap();
        let error = rule::relative_error(logits(&parts), logits(&whole));
        assert!(error < 1e-5, "batch {batch}: {error:e}");
    }
}

/// Passes of a micro-batch, the last one smaller, with outputs of two sizes: whole, in slices, and after a smaller batch.
#[test]
fn a_batch_in_several_passes_gives_what_one_pass_gives() {
    let Some(engine) = gpu::engine() else { return };
    let both = |batch, micro_batch| {
        let outputs = vec!["logits".into(), "features".into()];
        let size = Some([64, 48]);
        engine.session(&model(), &SessionOptions { micro_batch, outputs, size, batch, ..Default::default() }).unwrap()
    };
    let input = |batch: u32| {
        let data = (0..batch * 64 * 48 * 3).map(|i| (i as f32 * 0.37).sin()).collect();
        Tensor::from_nhwc(batch, Shape::new(64, 48, 3), data).unwrap()
    };
    let all = input(7);
    let expected = both(7, 7).run(Input::Tensor(&all)).unwrap();
    for micro_batch in [1, 2, 3, 6] {
        let mut session = both(7, micro_batch);
        assert_eq!([session.max_batch(), session.plan().micro_batch], [7, micro_batch]);
        let near = |found: &mobilenet_wgpu::engine::Outputs, pictures: usize| {
            for name in ["logits", "features"] {
                let (found, expected) = (found.get(name).unwrap(), expected.get(name).unwrap());
                assert_eq!(found.batch as usize, pictures);
                let expected = &expected.data[..found.data.len()];
                let error = rule::relative_error(&found.data, expected);
                assert!(error < 1e-5, "{name} of {pictures}, {micro_batch} at a time: {error:e}");
            }
        };
        near(&session.run(Input::Tensor(&all)).unwrap(), 7);
        near(&session.run(Input::Tensor(&input(1))).unwrap(), 1);
        near(&session.run(Input::Tensor(&input(6))).unwrap(), 6);
        let mut encoder = engine.device().create_command_encoder(&Default::default());
        let mut sliced = session.begin(&mut encoder, Input::Tensor(&all)).unwrap();
        engine.queue().submit([encoder.finish()]);
        let mut slices = 0;
        loop {
            // Three steps or so at a time, so that slices end within passes as well as with them.
            let budget = 3.0 * session.plan().steps[slices % 7].why.ns().unwrap_or(1e5) / 1e6;
            let mut encoder = engine.device().create_command_encoder(&Default::default());
            let done = session.encode_slice(&mut sliced, &mut encoder, budget).unwrap();
            engine.queue().submit([encoder.finish()]);
            slices += 1;
            if done {
                break;
            }
        }
        assert!(slices > session.plan().passes(7) as usize, "{slices} slices");
        near(&sliced.finish().unwrap().wait().unwrap(), 7);
    }
}

#[test]
fn async_slices_and_buffers_give_what_run_gives() {
    let Some(engine) = gpu::engine() else { return };
    let mut session = engine.session(&model(), &options(2)).unwrap();
    let tensor = input(2);
    let expected = session.run(Input::Tensor(&tensor)).unwrap();
    assert_eq!(pollster::block_on(session.run_async(Input::Tensor(&tensor))).unwrap(), expected);

    let mut encoder = engine.device().create_command_encoder(&Default::default());
    let mut sliced = session.begin(&mut encoder, Input::Tensor(&tensor)).unwrap();
    engine.queue().submit([encoder.finish()]);
    // A sixth of what the plan expects of the whole.
    let expected_ms: f64 = session.plan().steps.iter().filter_map(|step| step.why.ns()).sum::<f64>() / 1e6;
    let mut slices = 0;
    loop {
        let mut encoder = engine.device().create_command_encoder(&Default::default());
        assert!(matches!(session.encode(&mut encoder, Input::Tensor(&tensor)), Err(Error::Busy(_))), "the activations are leased");
        let done = session.encode_slice(&mut sliced, &mut encoder, expected_ms / 6.0).unwrap();
        engine.queue().submit([encoder.finish()]);
        slices += 1;
        if done {
            break;
        }
    }
    assert!(slices > 3, "{slices} slices");
    assert_eq!(sliced.finish().unwrap().wait().unwrap(), expected);

    // Left on the device, then copied by hand from where the layout says.
    let mut encoder = engine.device().create_command_encoder(&Default::default());
    let mut pending = session.encode_on_device(&mut encoder, Input::Tensor(&tensor)).unwrap();
    let layout = pending.layout()[0].clone();
    let size = layout.picture_bytes * 2;
    let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
    let copy = engine.device().create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false });
    encoder.copy_buffer_to_buffer(pending.buffer(), layout.offset, &copy, 0, size);
    encoder.map_buffer_on_submit(&copy, wgpu::MapMode::Read, .., |r| r.unwrap());
    engine.queue().submit([encoder.finish()]);
    engine.device().poll(wgpu::PollType::wait_indefinitely()).unwrap();
    while pending.try_take().unwrap().is_none() {}
    let (channels, padded) = (layout.shape.channels as usize, layout.shape.c4() as usize * 4);
    let values: Vec<f32> = bytemuck::pod_collect_to_vec(&copy.get_mapped_range(..).unwrap());
    let unpadded: Vec<f32> = values.chunks(padded).flat_map(|picture| &picture[..channels]).copied().collect();
    assert_eq!(unpadded, logits(&expected));
    drop(pending);

    let padded: Vec<f32> = tensor.data.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 0.0]).collect();
    let usage = wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
    let descriptor = wgpu::BufferDescriptor { label: None, size: padded.len() as u64 * 4, usage, mapped_at_creation: false };
    let buffer = engine.device().create_buffer(&descriptor);
    engine.queue().write_buffer(&buffer, 0, bytemuck::cast_slice(&padded));
    assert_eq!(session.run(Input::Buffer { buffer: &buffer, batch: 2 }).unwrap(), expected);
}

#[test]
fn the_ring_is_bounded_and_comes_back() {
    let Some(engine) = gpu::engine() else { return };
    let mut session = engine.session(&model(), &SessionOptions { in_flight: 2, ..options(1) }).unwrap();
    let tensor = input(1);
    let expected = session.run(Input::Tensor(&tensor)).unwrap();
    let first = session.submit(Input::Tensor(&tensor)).unwrap();
    let second = session.submit(Input::Tensor(&tensor)).unwrap();
    assert!(matches!(session.submit(Input::Tensor(&tensor)), Err(Error::Busy(2))));
    assert_eq!(second.wait().unwrap(), expected);
    assert_eq!(first.wait().unwrap(), expected);
    // Recorded and thrown away, with its place and after it.
    for _ in 0..5 {
        let mut encoder = engine.device().create_command_encoder(&Default::default());
        let mut pending = session.encode(&mut encoder, Input::Tensor(&tensor)).unwrap();
        drop(encoder);
        assert!(matches!(pending.try_take(), Err(Error::Device(_))));
    }
}

/// On a device of its own, which nobody else polls.
#[test]
fn what_is_dropped_before_the_device_is_done_gives_its_place_back() {
    if gpu::engine().is_none() {
        return;
    }
    let engine = Engine::open(&AdapterOptions::default()).unwrap();
    let tensor = input(1);
    for in_flight in [1, 2] {
        let mut session = engine.session(&model(), &SessionOptions { in_flight, ..options(1) }).unwrap();
        let expected = session.run(Input::Tensor(&tensor)).unwrap();
        for _ in 0..5 {
            drop(once_free(|| session.submit(Input::Tensor(&tensor))));
        }
        assert_eq!(once_free(|| session.run(Input::Tensor(&tensor))), expected);
        // All of the ring given up, then recorded into an encoder of the application's.
        let given_up: Vec<_> = (0..in_flight).map(|_| once_free(|| session.submit(Input::Tensor(&tensor)))).collect();
        drop(given_up);
        let mut encoder = engine.device().create_command_encoder(&Default::default());
        let all: Vec<_> = (0..in_flight).map(|_| once_free(|| session.encode(&mut encoder, Input::Tensor(&tensor)))).collect();
        engine.queue().submit([encoder.finish()]);
        all.into_iter().for_each(|pending| assert_eq!(pending.wait().unwrap(), expected));
    }
}

/// What `call` gives once the ring has a place again; a frame later, as an application asks.
fn once_free<T>(mut call: impl FnMut() -> mobilenet_wgpu::Result<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        match call() {
            Err(Error::Busy(_)) if start.elapsed().as_secs() < 30 => std::thread::sleep(std::time::Duration::from_millis(1)),
            result => return result.unwrap(),
        }
    }
}

#[test]
fn what_is_recorded_ahead_changes_no_answer_and_holds_no_place() {
    let Some(engine) = gpu::engine() else { return };
    for in_flight in [1, 2, 3] {
        let mut session = engine.session(&model(), &SessionOptions { in_flight, ..options(2) }).unwrap();
        let (one, two) = (input(1), input(2));
        let (alone, both) = (session.run(Input::Tensor(&one)).unwrap(), session.run(Input::Tensor(&two)).unwrap());
        assert!(rule::relative_error(&logits(&both)[..logits(&alone).len()], logits(&alone)) < 1e-5);
        // Batches that repeat are recorded ahead, those that change throw that away.
        for turn in 0..9 {
            let (tensor, expected) = if turn % 4 < 3 { (&one, &alone) } else { (&two, &both) };
            assert_eq!(&session.run(Input::Tensor(tensor)).unwrap(), expected, "{in_flight} in flight, run {turn}");
        }
        session.run(Input::Tensor(&one)).unwrap();
        // Every place is there for other encoders, and wrong inputs take none.
        assert!(session.submit(Input::Tensor(&Tensor::from_nhwc(1, Shape::new(8, 8, 3), vec![0.0; 192]).unwrap())).is_err());
        let mut encoder = engine.device().create_command_encoder(&Default::default());
        let pending: Vec<_> = (0..in_flight).map(|_| session.encode(&mut encoder, Input::Tensor(&one)).unwrap()).collect();
        assert!(matches!(session.encode(&mut encoder, Input::Tensor(&one)), Err(Error::Busy(n)) if n == in_flight));
        engine.queue().submit([encoder.finish()]);
        assert!(pending.into_iter().all(|p| p.wait().unwrap() == alone));
        // Dropped before the device is done, then asked again.
        drop(once_free(|| session.submit(Input::Tensor(&one))));
        assert_eq!(once_free(|| session.run(Input::Tensor(&two))), both);
        session.run(Input::Tensor(&two)).unwrap();
    }
}

#[test]
fn wrong_inputs_are_errors_that_say_what_was_expected() {
    let Some(engine) = gpu::engine() else { return };
    let mut session = engine.session(&model(), &options(1)).unwrap();
    let small = Tensor::from_nhwc(1, Shape::new(8, 8, 3), vec![0.0; 192]).unwrap();
    let message = session.run(Input::Tensor(&small)).unwrap_err().to_string();
    assert!(message.contains("8x8x3") && message.contains("where the network takes"), "{message}");
    let unknown = SessionOptions { outputs: vec!["block3.nothing".into()], ..options(1) };
    let message = engine.session(&model(), &unknown).unwrap_err().to_string();
    assert!(message.contains("block3.nothing") && message.contains("block3.project"), "{message}");
}

#[test]
fn sessions_on_many_threads_share_an_engine() {
    let Some(engine) = gpu::engine() else { return };
    let (model, tensor) = (model(), input(1));
    let expected = engine.session(&model, &options(1)).unwrap().run(Input::Tensor(&tensor)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut session = engine.session(&model, &options(1)).unwrap();
                for _ in 0..3 {
                    assert_eq!(session.run(Input::Tensor(&tensor)).unwrap(), expected);
                }
            });
        }
    });
}

/// A model's weights are on the device once, however many sessions it has; another model's are its own.
#[test]
fn sessions_of_a_model_share_its_weights() {
    if gpu::engine().is_none() {
        return;
    }
    // A device of its own: other tests allocate meanwhile.
    let engine = Engine::open(&AdapterOptions::default()).unwrap();
    let used = || {
        engine.device().poll(wgpu::PollType::wait_indefinitely()).unwrap();
        engine.device().generate_allocator_report().map(|report| report.total_allocated_bytes)
    };
    let Some(nothing) = used() else { return println!("skipped: this backend does not tell its allocations") };
    let model = model();
    let first = engine.session(&model, &options(1)).unwrap();
    let one = used().unwrap();
    let weights = first.plan().weight_bytes();
    assert!(one - nothing >= weights, "{one} - {nothing} bytes, {weights} of weights");
    // Of a clone, for another batch.
    let second = engine.session(&model.clone(), &options(2)).unwrap();
    let two = used().unwrap();
    let without_weights = one - nothing - weights;
    assert!(two - one <= 3 * without_weights && two - one < weights, "{one}, then {two} bytes, {weights} of weights");
    let other = engine.session(&self::model(), &options(1)).unwrap();
    assert!(used().unwrap() - two >= weights, "{two} bytes, and another model");
    drop((first, second, other));
}

#[test]
fn a_destroyed_device_is_an_error_and_never_zeros() {
    if gpu::engine().is_none() {
        return;
    }
    let engine = Engine::open(&AdapterOptions::default()).unwrap();
    let mut session = engine.session(&model(), &options(1)).unwrap();
    let tensor = input(1);
    session.run(Input::Tensor(&tensor)).unwrap();
    let pending = session.submit(Input::Tensor(&tensor)).unwrap();
    engine.device().destroy();
    // What was submitted before may still be there; nothing else is.
    let _ = pending.wait();
    for _ in 0..2 {
        let result = session.run(Input::Tensor(&tensor));
        assert!(matches!(result, Err(Error::DeviceLost(_))), "{result:?}");
    }
    assert!(engine.session(&model(), &options(1)).is_err());
}

/// Whatever stands in the file of the pipeline cache, the answers are the same.
#[test]
fn a_bad_pipeline_cache_is_a_miss() {
    let Some(shared) = gpu::engine() else { return };
    let tensor = input(1);
    let expected = shared.session(&model(), &options(1)).unwrap().run(Input::Tensor(&tensor)).unwrap();
    let run = |data: Option<&[u8]>| {
        let engine = Engine::open(&AdapterOptions::default()).unwrap();
        // SAFETY: bytes of our own, or a header that is refused before anything is read.
        unsafe { engine.use_pipeline_cache(data) };
        let found = engine.session(&model(), &options(1)).unwrap().run(Input::Tensor(&tensor)).unwrap();
        assert_eq!(found, expected);
        engine.pipeline_cache()
    };
    let first = run(None);
    assert_eq!(first.is_some(), shared.profile().pipeline_cache);
    run(first.as_deref());
    run(Some(b"not a cache"));
    run(Some(&[0; 4096]));
    run(first.as_deref().map(|data| &data[..data.len() / 2]));
}

/// A guest's device cannot tell us of its loss: the app does.
#[test]
fn a_guest_is_told_of_a_loss() {
    let Some(shared) = gpu::engine() else { return };
    let engine = Engine::new(shared.device().clone(), shared.queue().clone()).unwrap();
    let mut session = engine.session(&model(), &options(1)).unwrap();
    engine.notify_lost();
    assert!(matches!(session.run(Input::Tensor(&input(1))), Err(Error::DeviceLost(_))));
    assert!(!shared.is_lost(), "two engines on one device are told apart");
}

/// A device with a phone's limits and no features runs the network, and a batch that does not fit goes through in passes.
#[test]
fn narrow_limits_are_planned_for() {
    if gpu::engine().is_none() {
        return;
    }
    let profile = DeviceProfile { max_storage_binding: 4 << 20, ..DeviceProfile::phone() };
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle().with_env());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    let descriptor = wgpu::DeviceDescriptor { required_limits: profile.limits(), ..Default::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
    let engine = Engine::new(device, queue).unwrap();
    let mut session = engine.session(&model(), &options(64)).unwrap();
    assert!(session.plan().micro_batch < 64, "64 pictures cannot fit 4 MiB: {}", session.plan().micro_batch);
    assert!(session.plan().steps.iter().all(|s| !s.variant.contains("subgroup")), "no subgroups without the feature");
    let tensor = input(session.plan().micro_batch + 3);
    let found = session.run(Input::Tensor(&tensor)).unwrap();
    let expected = gpu::engine().unwrap().session(&model(), &options(64)).unwrap().run(Input::Tensor(&tensor)).unwrap();
    assert!(rule::relative_error(logits(&found), logits(&expected)) < 1e-5);
    let huge = SessionOptions { size: Some([4000, 4000]), ..options(1) };
    let error = engine.session(&model(), &huge).unwrap_err();
    assert!(matches!(&error, Error::Limit { .. }), "{error}");
    assert!(error.to_string().contains("max_storage_buffer_binding_size"), "{error}");
}

/// Runs this test's own binary again with little address space: there, allocations fail for real.
#[cfg(target_os = "linux")]
#[test]
fn no_memory_is_an_error() {
    let Some(engine) = gpu::engine() else { return };
    if engine.profile().class != DeviceClass::Software {
        println!("skipped: the limit is on the process's memory, and this adapter has its own");
        return;
    }
    let program = std::env::current_exe().unwrap();
    // The driver takes what it needs for itself; a batch of 256 at 448 needs gigabytes beyond that.
    let script = "ulimit -v 3000000; exec \"$0\" --exact child_with_little_memory --ignored --nocapture";
    let output = std::process::Command::new("sh").args(["-c", script]).arg(program).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("refused:"), "{out}\n{err}");
    assert!(out.contains("1 passed"), "{out}\n{err}");
}

/// The other half of `no_memory_is_an_error`: it means something only under a limit.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by no_memory_is_an_error under a memory limit"]
fn child_with_little_memory() {
    let engine = Engine::open(&AdapterOptions::default()).unwrap();
    let mut kept = Vec::new();
    let error = loop {
        assert!(kept.len() < 64, "memory never ran out");
        match engine.session(&model(), &SessionOptions { size: Some([224, 224]), ..options(64) }) {
            Ok(session) => kept.push(session),
            Err(error) => break error,
        }
    };
    println!("refused: {error}");
    assert!(matches!(error, Error::OutOfMemory(_) | Error::DeviceLost(_) | Error::Device(_)), "{error:?}");
    // What was made before still answers, or says why not.
    kept.truncate(1);
    if let Some(session) = kept.first_mut() {
        let shape = session.plan().input;
        let tensor = Tensor::from_nhwc(1, shape, vec![0.1; shape.elements() as usize]).unwrap();
        if let Ok(outputs) = session.run(Input::Tensor(&tensor)) {
            assert!(logits(&outputs).iter().any(|v| *v != 0.0));
        }
    }
}
