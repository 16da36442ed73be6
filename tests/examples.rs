//! The examples run, on the adapter that there is, and say what they should.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/gpu.rs"]
mod gpu;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The small network in the repository; a published crate does not hold it.
fn model() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cli/builtin/mobilenet_v2_cifar10.safetensors");
    path.is_file().then_some(path)
}

/// What an example prints.
fn run<const N: usize>(name: &str, arguments: [&Path; N]) -> String {
    // target/PROFILE/deps/this-test, and beside `deps` the examples, which `cargo test` builds.
    let test = std::env::current_exe().unwrap();
    let example = test.ancestors().nth(2).unwrap().join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(example.is_file(), "{} is not built: cargo build --examples", example.display());
    let output = Command::new(example).args(arguments).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{name}: {out}{}", String::from_utf8_lossy(&output.stderr));
    println!("{out}");
    out
}

#[test]
#[cfg(feature = "decode")]
fn classify_names_five_classes() {
    let Some(model) = model() else { return };
    let out = run("classify", [&model, Path::new("assets/cat.png")]);
    assert_eq!(out.lines().count(), 5, "{out}");
    assert!(out.lines().next().unwrap().contains("cat"), "{out}");
}

#[test]
fn own_device_labels_frames_of_a_texture() {
    let (Some(model), Some(_)) = (model(), gpu::engine()) else { return };
    let out = run("own_device", [&model]);
    assert_eq!(out.lines().filter(|l| l.starts_with("frame ") && l.contains(" %  ")).count(), 5, "{out}");
}

#[test]
fn video_frames_gives_the_same_in_flight() {
    let (Some(model), Some(_)) = (model(), gpu::engine()) else { return };
    let out = run("video_frames", [&model, Path::new("200")]);
    assert!(out.contains("3 in flight:") && out.contains("times as many"), "{out}");
}

#[test]
fn custom_network_agrees_with_the_cpu() {
    if gpu::engine().is_some() {
        let out = run("custom_network", []);
        assert!(out.contains("CPU  [") && out.contains("GPU  ["), "{out}");
    }
}
