//! Buffers of uploads and of the preprocessing, kept from call to call: after warm-up nothing is allocated, and nothing ever waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::sections::ALIGNMENT;
use crate::gpu::Scope;
use crate::{Error, Result};

/// Host memory on its way to the device: mapped buffers that are filled, copied from, and mapped again once their
/// submission is done. These are the free ones. A buffer in flight is owned by its encoder's callback: when the encoder is thrown
/// away unsubmitted, the buffer goes with it.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    free: Arc<Mutex<Vec<wgpu::Buffer>>>,
    /// Buffers made so far.
    pub made: u64,
}

impl Staging {
    const LEAST: u64 = 1 << 16;
    /// Free memory that is kept; a run of huge pictures must not hold theirs for ever.
    const MOST_FREE: u64 = 128 << 20;

    /// A mapped buffer of at least `bytes`.
    fn take(&mut self, device: &wgpu::Device, bytes: u64) -> Result<wgpu::Buffer> {
        let mut free = lock(&self.free);
        let fits = free.iter().enumerate().filter(|(_, buffer)| buffer.size() >= bytes);
        if let Some((index, _)) = fits.min_by_key(|(_, buffer)| buffer.size()) {
            return Ok(free.swap_remove(index));
        }
        if free.iter().map(wgpu::Buffer::size).sum::<u64>() > Self::MOST_FREE {
            free.clear();
        }
        self.made += 1;
        let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        create(device, "staging", bytes.max(Self::LEAST), usage)
    }

    /// Records the copy of `bytes` bytes, which `fill` writes, to the start of `target`.
    pub fn upload(
        &mut self,
        device: &wgpu::Device,
        encoder: &mut wgpu::CommandEncoder,
        target: &wgpu::Buffer,
        bytes: u64,
        fill: impl FnOnce(&mut wgpu::BufferViewMut),
    ) -> Result<()> {
        let buffer = self.take(device, bytes)?;
        let mut view = buffer
            .get_mapped_range_mut(..bytes)
            .map_err(|error| Error::OutOfMemory(format!("{bytes} bytes of staging memory: {error}")))?;
        fill(&mut view);
        drop(view);
        buffer.unmap();
        encoder.copy_buffer_to_buffer(&buffer, 0, target, 0, bytes);
        let free = self.free.clone();
        let returned = buffer.clone();
        encoder.map_buffer_on_submit(&buffer, wgpu::MapMode::Write, .., move |mapped| {
            if mapped.is_ok() {
                lock(&free).push(returned);
            }
        });
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A buffer of `bytes` or more, mapped if it can be.
fn create(device: &wgpu::Device, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
    let scope = Scope::open(device);
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: roomy(bytes, device),
        usage,
        mapped_at_creation: usage.contains(wgpu::BufferUsages::MAP_WRITE),
    });
    now(scope.close())?;
    Ok(buffer)
}

/// `bytes` with room to grow, within the device's limit.
fn roomy(bytes: u64, device: &wgpu::Device) -> u64 {
    bytes.next_power_of_two().min(device.limits().max_buffer_size).max(bytes.next_multiple_of(4))
}

/// A storage buffer that is kept from call to call and replaced by a larger one when it must be. Commands already
/// recorded keep the old one alive.
#[derive(Debug)]
pub(super) struct Kept {
    label: &'static str,
    usage: wgpu::BufferUsages,
    pub buffer: Option<wgpu::Buffer>,
    /// Bytes that the last caller asked for.
    used: u64,
    /// Buffers made so far.
    pub made: u64,
}

impl Kept {
    pub fn new(label: &'static str, usage: wgpu::BufferUsages) -> Self {
        Self { label, usage: usage | wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST, buffer: None, used: 0, made: 0 }
    }
    pub fn ensure(&mut self, device: &wgpu::Device, bytes: u64) -> Result<&wgpu::Buffer> {
        self.used = bytes;
        let kept = self.buffer.take().filter(|buffer| buffer.size() >= bytes);
        let buffer = match kept {
            Some(buffer) => buffer,
            None => {
                self.made += 1;
                create(device, self.label, bytes.max(ALIGNMENT), self.usage)?
            }
        };
        Ok(self.buffer.insert(buffer))
    }
    pub fn binding(&self) -> Option<wgpu::BufferBinding<'_>> {
        let size = wgpu::BufferSize::new(self.used);
        self.buffer.as_ref().map(|buffer| wgpu::BufferBinding { buffer, offset: 0, size })
    }
}

/// What a future gives at once, as error scopes do outside a browser. A browser's verdict comes too late for this
/// call; there the submission fails.
pub(super) fn now(future: impl Future<Output = Result<()>>) -> Result<()> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(result) => result,
        std::task::Poll::Pending => Ok(()),
    }
}
