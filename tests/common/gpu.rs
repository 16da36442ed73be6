//! One engine for all tests of a binary, and the rule for machines without an adapter.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mobilenet_wgpu::{engine::Engine, gpu::AdapterOptions};
use std::sync::OnceLock;

/// The shared engine. `None` (say so and return) on a machine without an adapter, unless CI, assets or `scripts/test` demand one.
pub fn engine() -> Option<&'static Engine> {
    static ENGINE: OnceLock<Option<Engine>> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| match Engine::open(&AdapterOptions::default()) {
        Ok(engine) => Some(engine),
        Err(error) => {
            let demanded = ["CI", "MOBILENET_TEST_ASSETS", "MOBILENET_TEST_GPU"].iter().any(|v| std::env::var_os(v).is_some());
            assert!(!demanded, "an adapter is demanded here: {error}");
            None
        }
    });
    if engine.is_none() {
        println!("skipped: no graphics adapter on this machine");
    }
    engine.as_ref()
}

/// The folder of the large test data; `None` (say so and return) if it is not named.
pub fn assets() -> Option<std::path::PathBuf> {
    let folder = std::env::var_os("MOBILENET_TEST_ASSETS").filter(|v| !v.is_empty());
    if folder.is_none() {
        println!("skipped: MOBILENET_TEST_ASSETS names no folder of checkpoints");
    }
    folder.map(Into::into)
}
