//! The library's errors as JavaScript's: an `Error` whose `code` is for a program and whose message is for a person.

use js_sys::Reflect;
use mobilenet_wgpu::Error;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    pub fn console_error(message: &str);
}

/// The codes that the package's error classes are made by.
const fn code(error: &Error) -> &'static str {
    match error {
        Error::Checkpoint(_) | Error::Tensor { .. } => "checkpoint",
        Error::Input(_) | Error::Picture(_) => "input",
        Error::NoAdapter(_) => "no-adapter",
        Error::Limit { .. } | Error::NoVariant { .. } => "limits",
        Error::DeviceLost(_) => "device-lost",
        Error::OutOfMemory(_) => "out-of-memory",
        Error::Busy(_) => "busy",
        Error::Option { .. } | Error::Graph { .. } => "option",
        _ => "device",
    }
}

pub fn to_js(error: &Error) -> JsValue {
    with_code(&error.to_string(), code(error))
}

pub fn with_code(message: &str, code: &str) -> JsValue {
    let error = js_sys::Error::new(message);
    // Setting a property of a new object cannot fail.
    let _ = Reflect::set(&error, &"code".into(), &code.into());
    error.into()
}
