//! The library for JavaScript: what `web/package` wraps into an API that a page's author likes.
//!
//! Nothing here blocks or decides anything that the library decides; pictures and values go in, promises come out.
//! Everything is empty natively, where the library itself is at hand.
#![cfg(target_arch = "wasm32")]
// wasm-bindgen's generated items carry no documentation.
#![allow(missing_docs)]

mod bench;
#[cfg(feature = "checks")]
mod checks;
mod errors;
mod gpu;
mod network;
mod options;
mod timing;

use wasm_bindgen::prelude::wasm_bindgen;

/// Tells the console what a panic said; WebAssembly itself says `unreachable`.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| errors::console_error(&format!("mobilenet-wgpu: {info}"))));
}
