//! wgpu's errors as ours.

use crate::{Error, Result};

/// An error scope of each kind, opened and closed in one synchronous block (scopes belong to a thread).
pub(crate) struct Scope {
    memory: wgpu::ErrorScopeGuard,
    validation: wgpu::ErrorScopeGuard,
    internal: wgpu::ErrorScopeGuard,
}

impl Scope {
    pub fn open(device: &wgpu::Device) -> Self {
        let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
        Self { memory, validation, internal }
    }

    /// Closes the scopes at once; the future gives the first error that they caught.
    pub fn close(self) -> impl Future<Output = Result<()>> {
        let (internal, validation, memory) = (self.internal.pop(), self.validation.pop(), self.memory.pop());
        async move {
            let caught = [internal.await, validation.await, memory.await];
            caught.into_iter().flatten().next().map_or(Ok(()), |error| Err(from_wgpu(&error)))
        }
    }
}

/// Our error for wgpu's.
fn from_wgpu(error: &wgpu::Error) -> Error {
    match error {
        wgpu::Error::OutOfMemory { .. } => Error::OutOfMemory(error.to_string()),
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
            let lost = description.contains("device is lost") || description.contains("Device is lost");
            if lost { Error::DeviceLost(description.clone()) } else { Error::Device(description.clone()) }
        }
    }
}
