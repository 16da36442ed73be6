//! The classifier's promises: GPU and CPU give the same, waiting and awaiting give the same, batches keep their order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/gpu.rs"]
mod gpu;

use mobilenet_wgpu::classifier::Running;
use mobilenet_wgpu::engine::SessionOptions;
use mobilenet_wgpu::graph::Shape;
use mobilenet_wgpu::model::LoadOptions;
use mobilenet_wgpu::{Classifier, ClassifierOptions, Error, Model, Picture, Prediction, Tensor};

fn model() -> Model {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/cli/builtin/mobilenet_v2_cifar10.safetensors");
    Model::from_bytes(std::fs::read(path).unwrap(), &LoadOptions::default()).unwrap()
}

/// Pictures that differ, of sizes that differ.
fn pictures(count: u32) -> Vec<Picture> {
    let picture = |n: u32| {
        let (width, height) = (40 + 7 * n, 50 + 3 * n);
        let pixel = |i: u32| [(i * (n + 3)) as u8, (i / width * 5) as u8, (n * 60) as u8, 255];
        Picture::from_rgba(width, height, (0..width * height).flat_map(pixel).collect()).unwrap()
    };
    (0..count).map(picture).collect()
}

fn close(a: &[Vec<Prediction>], b: &[Vec<Prediction>]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
        assert!(a.index == b.index && (a.probability - b.probability).abs() < 1e-4, "{a:?} {b:?}");
    }
}

/// A classifier on the CPU and, where there is an adapter, one on the GPU.
fn classifiers(options: &SessionOptions) -> Vec<Classifier> {
    let gpu = gpu::engine().map(|engine| Classifier::with_engine(engine, model(), options).unwrap());
    std::iter::once(Classifier::on_cpu(model(), options).unwrap()).chain(gpu).collect()
}

#[test]
fn all_ways_give_the_same() {
    let pictures = pictures(7);
    let mut all = Vec::new();
    for mut classifier in classifiers(&SessionOptions { batch: 3, ..SessionOptions::default() }) {
        let whole = classifier.classify(&pictures, 3).unwrap();
        assert!(whole.len() == 7 && whole.iter().all(|p| p.len() == 3 && p[0].probability >= p[1].probability));
        let awaited = pollster::block_on(classifier.classify_async(&pictures, 3)).unwrap();
        assert_eq!(whole, awaited);
        let one_by_one = pictures.iter().flat_map(|p| classifier.classify(std::slice::from_ref(p), 3).unwrap()).collect::<Vec<_>>();
        close(&whole, &one_by_one);
        all.push(whole);
    }
    all.windows(2).for_each(|pair| close(&pair[0], &pair[1]));
}

#[test]
fn batches_can_be_under_way() {
    let pictures = pictures(4);
    for mut classifier in classifiers(&SessionOptions { batch: 2, in_flight: 2, ..SessionOptions::default() }) {
        let expected = classifier.classify(&pictures, 10).unwrap();
        let running: Vec<Running> = pictures.chunks(2).map(|part| classifier.submit(part).unwrap()).collect();
        let parts = running.into_iter().flat_map(|r| classifier.predictions(&r.wait().unwrap(), 10).unwrap());
        close(&parts.collect::<Vec<_>>(), &expected);
        assert!(matches!(classifier.submit(&pictures), Err(Error::Input(_))), "four are more than two");
        assert!(matches!(classifier.submit(&[]), Err(Error::Input(_))));
    }
}

#[test]
fn tensors_and_any_node() {
    let shape = Shape::new(48, 32, 3);
    let values = |n: u64| (0..n * shape.elements()).map(|i| ((i * 31) % 97) as f32 / 48.0 - 1.0).collect();
    let input = Tensor::from_nhwc(5, shape, values(5)).unwrap();
    let outputs = ["embedding", "block2.expand", "logits"].map(String::from).to_vec();
    let options = SessionOptions { size: Some([48, 32]), batch: 2, outputs: outputs.clone(), ..SessionOptions::default() };
    let mut all = Vec::new();
    for mut classifier in classifiers(&options) {
        let found = classifier.run(&input).unwrap();
        assert_eq!(found.tensors.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), outputs);
        assert!(found.tensors.iter().all(|(_, t)| t.batch == 5));
        assert_eq!(pollster::block_on(classifier.run_async(&input)).unwrap(), found);
        assert!(matches!(classifier.predictions(&found, 5), Err(Error::Option { option: "outputs", .. })));
        assert!(classifier.run(&Tensor::from_nhwc(1, Shape::new(32, 48, 3), values(1)).unwrap()).is_err());
        all.push(found);
    }
    for pair in all.windows(2) {
        for ((name, a), (_, b)) in pair[0].tensors.iter().zip(&pair[1].tensors) {
            assert!(a.data.iter().zip(&b.data).all(|(a, b)| (a - b).abs() < 1e-3 * b.abs().max(1.0)), "{name}");
        }
    }
}

#[test]
fn wishes_that_cannot_be() {
    let options = SessionOptions { outputs: vec!["no such node".into()], ..SessionOptions::default() };
    assert!(matches!(Classifier::on_cpu(model(), &options), Err(Error::Graph { .. })));
    let mut options = ClassifierOptions::default();
    options.adapter.adapter = Some("no such adapter".into());
    options.fallback = false;
    assert!(matches!(Classifier::new(model(), &options), Err(Error::NoAdapter(_))));
    options.fallback = true;
    assert!(Classifier::new(model(), &options).unwrap().session().is_none(), "the CPU stands in");
    options.cpu = true;
    assert!(Classifier::new(model(), &options).unwrap().backend().contains("CPU"));
}
