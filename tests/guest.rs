//! What a guest promises the application whose device it is on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/gpu.rs"]
mod gpu;
#[path = "common/rule.rs"]
mod rule;

use mobilenet_wgpu::engine::{Engine, Input, Outputs, Session, SessionOptions};
use mobilenet_wgpu::model::{LoadOptions, Model};
use mobilenet_wgpu::picture::{Frame, Picture};
use mobilenet_wgpu::{Tensor, wgpu};
use std::sync::{Arc, Mutex};

const CASE: &str = "torchvision_v2_035";

fn model() -> Model {
    Model::from_bytes(rule::case(CASE).checkpoint(), &LoadOptions::default()).unwrap()
}

fn session(engine: &Engine, in_flight: usize) -> Session {
    let case = rule::case(CASE);
    let size = Some([case.height as u32, case.width_px as u32]);
    engine.session(&model(), &SessionOptions { size, in_flight, ..Default::default() }).unwrap()
}

/// What the application's handler has seen.
type Errors = Arc<Mutex<Vec<String>>>;

/// A device as an application makes one: with what the engine asks for, and the application's own error handler.
fn own_device() -> Option<(wgpu::Device, wgpu::Queue, Errors)> {
    gpu::engine()?;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle().with_env());
    let found = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    let (required_features, required_limits) = Engine::wanted(&found);
    let descriptor = wgpu::DeviceDescriptor { required_features, required_limits, ..Default::default() };
    let (device, queue) = pollster::block_on(found.request_device(&descriptor)).unwrap();
    let errors = Arc::new(Mutex::new(Vec::new()));
    let seen = errors.clone();
    device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| seen.lock().unwrap().push(e.to_string())));
    Some((device, queue, errors))
}

fn picture() -> Picture {
    let pixel = |i: u32| [(i * 7 % 251) as u8, (i / 5 % 256) as u8, (i * i / 64 % 256) as u8, 255];
    Picture::from_rgba(90, 70, (0..90 * 70).flat_map(pixel).collect()).unwrap()
}

fn texture(device: &wgpu::Device, queue: &wgpu::Queue, picture: &Picture) -> wgpu::TextureView {
    let size = wgpu::Extent3d { width: picture.width(), height: picture.height(), depth_or_array_layers: 1 };
    let descriptor = wgpu::TextureDescriptor {
        label: Some("the application's"),
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8UnormSrgb,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    };
    let texture = device.create_texture(&descriptor);
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(picture.width() * 4), rows_per_image: None };
    queue.write_texture(texture.as_image_copy(), picture.rgba(), layout, size);
    texture.create_view(&Default::default())
}

fn logits(outputs: &Outputs) -> &[f32] {
    &outputs.get("logits").unwrap().data
}

/// An error of the application's: a buffer whose usages contradict each other.
fn mistake(device: &wgpu::Device) {
    let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::STORAGE;
    let _ = device.create_buffer(&wgpu::BufferDescriptor { label: Some("a mistake"), size: 16, usage, mapped_at_creation: false });
}

#[test]
fn a_texture_gives_what_its_pixels_give() {
    let Some((device, queue, errors)) = own_device() else { return };
    let engine = Engine::new(device.clone(), queue.clone()).unwrap();
    let (picture, mut session) = (picture(), session(&engine, 2));
    let rule = *model().preprocessing();
    let expected = session.run(Input::Pictures(std::slice::from_ref(&picture), &rule)).unwrap();
    let view = texture(&device, &queue, &picture);
    let mut encoder = device.create_command_encoder(&Default::default());
    let pending = session.encode(&mut encoder, Input::Frames(&[Frame::texture(&view)], &rule)).unwrap();
    queue.submit([encoder.finish()]);
    // The pixels differ by a rounding here and there.
    let error = rule::relative_error(logits(&pending.wait().unwrap()), logits(&expected));
    assert!(error < 2e-2, "{error:e}");
    assert!(errors.lock().unwrap().is_empty());
}

#[test]
fn the_applications_errors_stay_its_own() {
    let Some((device, queue, errors)) = own_device() else { return };
    let engine = Engine::new(device.clone(), queue.clone()).unwrap();
    mistake(&device);
    assert_eq!(errors.lock().unwrap().len(), 1, "before");
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let (picture, mut session) = (picture(), session(&engine, 2));
    let rule = *model().preprocessing();
    let view = texture(&device, &queue, &picture);
    session.run(Input::Pictures(std::slice::from_ref(&picture), &rule)).unwrap();
    session.run(Input::Frames(&[Frame::texture(&view)], &rule)).unwrap();
    // Ours that fail are told to the caller alone.
    let wrong = Tensor::from_nhwc(1, mobilenet_wgpu::graph::Shape::new(1, 1, 3), vec![0.0; 3]).unwrap();
    session.run(Input::Tensor(&wrong)).unwrap_err();
    assert!(pollster::block_on(scope.pop()).is_none(), "no error of ours in the application's scope");
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    session.run(Input::Frames(&[Frame::texture(&view)], &rule)).unwrap();
    mistake(&device);
    assert!(pollster::block_on(scope.pop()).is_some(), "the application's own is there");
    mistake(&device);
    assert_eq!(errors.lock().unwrap().len(), 2, "after");
}

/// Memory of the device that is allocated, as the driver's allocator reports it.
fn allocated(device: &wgpu::Device) -> Option<(u64, usize)> {
    device.generate_allocator_report().map(|report| (report.total_reserved_bytes, report.allocations.len()))
}

#[test]
fn nothing_is_allocated_after_warm_up() {
    let Some((device, queue, _)) = own_device() else { return };
    let engine = Engine::new(device.clone(), queue.clone()).unwrap();
    let (picture, mut session) = (picture(), session(&engine, 3));
    let rule = *model().preprocessing();
    let views = [0; 3].map(|_| texture(&device, &queue, &picture));
    let case = rule::case(CASE);
    let shape = session.plan().input;
    let tensor = Tensor::from_nhwc(1, shape, case.input_nhwc()[..shape.elements() as usize].to_vec()).unwrap();
    let round = |session: &mut Session| {
        let frames = views.each_ref().map(|view| [Frame::texture(view)]);
        let inputs = [
            Input::Frames(&frames[0], &rule),
            Input::Tensor(&tensor),
            Input::Frames(&frames[1], &rule),
            Input::Pictures(std::slice::from_ref(&picture), &rule),
            Input::Frames(&frames[2], &rule),
        ];
        // Three in flight, the oldest taken first.
        let mut flying = std::collections::VecDeque::new();
        for input in inputs {
            if flying.len() == 3 {
                flying.pop_front().map(|pending: mobilenet_wgpu::engine::Pending| pending.wait().unwrap());
            }
            flying.push_back(session.submit(input).unwrap());
        }
        flying.into_iter().for_each(|pending| drop(pending.wait().unwrap()));
        device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    };
    // Until each place of the ring has had each kind of input.
    (0..6).for_each(|_| round(&mut session));
    let (made, memory) = (session.buffers_made(), allocated(&device));
    (0..6).for_each(|_| round(&mut session));
    assert_eq!(session.buffers_made(), made);
    assert_eq!(allocated(&device), memory);
}

#[test]
fn recording_makes_no_pipeline_and_only_the_bind_group_of_a_new_source() {
    let Some((device, queue, _)) = own_device() else { return };
    let engine = Engine::new(device.clone(), queue.clone()).unwrap();
    let (picture, rule) = (picture(), *model().preprocessing());
    let mut session = session(&engine, 2);
    session.prepare_frames().unwrap();
    let made = engine.made();
    assert!(made.pipelines > 0 && made.bind_groups > 0);
    let views = [0; 2].map(|_| texture(&device, &queue, &picture));
    let run = |session: &mut Session, view: &wgpu::TextureView| {
        drop(session.run(Input::Frames(&[Frame::texture(view)], &rule)).unwrap());
    };
    run(&mut session, &views[0]);
    assert_eq!(session.input_bind_groups_made(), 1);
    // Runs take the two places of the ring in turn.
    (0..5).for_each(|_| run(&mut session, &views[0]));
    assert_eq!(session.input_bind_groups_made(), 2, "a source that was seen, in each place");
    (0..5).for_each(|_| run(&mut session, &views[0]));
    assert_eq!(session.input_bind_groups_made(), 2, "nothing new");
    (0..5).for_each(|_| run(&mut session, &views[1]));
    assert_eq!(session.input_bind_groups_made(), 4, "another one");
    session.run(Input::Pictures(std::slice::from_ref(&picture), &rule)).unwrap();
    assert_eq!(engine.made(), made);
}

#[test]
fn an_engine_may_go_with_work_in_flight() {
    let Some((device, queue, errors)) = own_device() else { return };
    let (view, rule) = (texture(&device, &queue, &picture()), *model().preprocessing());
    let pending = {
        let engine = Engine::new(device.clone(), queue.clone()).unwrap();
        let mut session = session(&engine, 2);
        let first = session.submit(Input::Frames(&[Frame::texture(&view)], &rule)).unwrap();
        let _thrown_away = session.submit(Input::Frames(&[Frame::texture(&view)], &rule)).unwrap();
        first
    };
    drop(view);
    assert!(logits(&pending.wait().unwrap()).iter().all(|v| v.is_finite()));
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    assert!(errors.lock().unwrap().is_empty());
}

/// Both record into one encoder, and neither waits for the other.
#[test]
fn two_engines_share_a_device() {
    let Some((device, queue, errors)) = own_device() else { return };
    let engines = [(); 2].map(|()| Engine::new(device.clone(), queue.clone()).unwrap());
    let mut sessions = engines.each_ref().map(|engine| session(engine, 2));
    let (view, rule) = (texture(&device, &queue, &picture()), *model().preprocessing());
    let frames = [Frame::texture(&view)];
    let alone = sessions.each_mut().map(|session| session.run(Input::Frames(&frames, &rule)).unwrap());
    assert_eq!(alone[0], alone[1]);
    for _ in 0..3 {
        let mut encoder = device.create_command_encoder(&Default::default());
        // In turn: the first's, the second's, the first's again, the second's again.
        let recorded: Vec<_> = (0..4).map(|n| sessions[n % 2].encode(&mut encoder, Input::Frames(&frames, &rule)).unwrap()).collect();
        queue.submit([encoder.finish()]);
        // The last one first.
        for (n, pending) in recorded.into_iter().enumerate().rev() {
            assert_eq!(pending.wait().unwrap(), alone[n % 2], "{n}");
        }
    }
    // One that goes leaves the other its own.
    let [first, second] = sessions;
    let mut second = second;
    drop(first);
    engines[0].notify_lost();
    assert_eq!(second.run(Input::Frames(&frames, &rule)).unwrap(), alone[1]);
    assert!(errors.lock().unwrap().is_empty());
}

#[test]
fn a_device_with_what_is_required_will_do_and_one_with_less_is_refused() {
    let Some(_) = gpu::engine() else { return };
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle().with_env());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    let (required_features, least) = Engine::required();
    let (liked, wanted) = Engine::wanted(&adapter);
    assert!(liked.contains(required_features) && adapter.features().contains(liked));
    assert!(least.check_limits(&wanted) && wanted.check_limits(&adapter.limits()), "what is wanted is there and is enough");
    let open = |required_limits| {
        let descriptor = wgpu::DeviceDescriptor { required_features, required_limits, ..Default::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
        Engine::new(device, queue)
    };
    let (picture, rule) = (picture(), *model().preprocessing());
    let expected = session(gpu::engine().unwrap(), 1).run(Input::Pictures(std::slice::from_ref(&picture), &rule)).unwrap();
    let engine = open(least.clone()).unwrap();
    let found = session(&engine, 1).run(Input::Pictures(std::slice::from_ref(&picture), &rule)).unwrap();
    assert!(rule::relative_error(logits(&found), logits(&expected)) < 1e-4);
    let view = texture(engine.device(), engine.queue(), &picture);
    session(&engine, 1).run(Input::Frames(&[Frame::texture(&view)], &rule)).unwrap();
    for (limits, name, found) in [
        (wgpu::Limits { max_storage_buffers_per_shader_stage: 4, ..least.clone() }, "max_storage_buffers_per_shader_stage", "has 4"),
        (wgpu::Limits { max_compute_invocations_per_workgroup: 32, ..least.clone() }, "max_compute_invocations_per_workgroup", "has 32"),
    ] {
        let message = open(limits).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains(found) && message.contains("Engine::required"), "{message}");
    }
}
