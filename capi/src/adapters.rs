//! Which adapters there are.

use crate::border::{exclusive, text};
use crate::status::{Failure, Status, guarded};
use mobilenet_wgpu::gpu::{AdapterOptions, adapters};
use std::ffi::{CString, c_char};

/// All adapters, the best first, as a JSON array of objects with `index`, `name`, `backend`, `device_type`, `driver` and
/// limits. `backend` may be NULL. Free the text by `mobilenet_string_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_adapters_json(backend: *const c_char, json: *mut *mut c_char) -> Status {
    guarded(|| {
        let out = unsafe { exclusive(json, "json") }?;
        let options = AdapterOptions { adapter: None, backend: unsafe { text(backend, "backend") }? };
        let found = pollster::block_on(adapters(&options))?;
        let failed = |message: String| Failure { status: Status::Internal, message };
        let json = serde_json::to_string(&found).map_err(|e| failed(e.to_string()))?;
        *out = CString::new(json).map_err(|e| failed(e.to_string()))?.into_raw();
        Ok(Status::Ok)
    })
}

/// Frees text that this library gave to be freed. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mobilenet_string_free(text: *mut c_char) {
    if !text.is_null() {
        drop(unsafe { CString::from_raw(text) });
    }
}
