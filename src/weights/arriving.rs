//! A checkpoint that comes in piece by piece: known when its header is there, each tensor of use when its last byte is.
//!
//! What must hold: a tensor is handed out whole or not at all, and whoever waits for one is told when it will never come.

use super::file::{File, explain};
use crate::{Error, Result};
use safetensors::SafeTensorError;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Poll, Waker};

/// So many bytes tell what a file is that does not begin like a checkpoint.
const TELLING: usize = 4096;
/// Room that is made for a tensor before its bytes are there: a damaged header may claim any size.
const ROOM: usize = 1 << 20;

/// A checkpoint on its way from a network or a pipe. Push its bytes as they come: [`Model::arriving`](crate::Model::arriving)
/// gives the model as soon as the header is there, and a session made of that model uploads its weights as they come.
///
/// Dropped before the last byte, it tells those who wait that the checkpoint was cut off.
///
/// ```no_run
/// use mobilenet_wgpu::{Model, model::LoadOptions, weights::Arriving};
/// use std::io::Read as _;
/// let mut arriving = Arriving::default();
/// let model = Model::arriving(&arriving, "mobilenet_v2", &LoadOptions::default());
/// let mut buffer = vec![0; 1 << 16];
/// while let n @ 1.. = std::io::stdin().read(&mut buffer).unwrap_or(0) {
///     arriving.push(&buffer[..n])?;
/// }
/// arriving.finish()?;
/// # let _ = model;
/// # Ok::<(), mobilenet_wgpu::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Arriving {
    arrived: Arc<Arrived>,
    /// The file's beginning, until its header is whole.
    head: Vec<u8>,
    /// What the header announced.
    file: Option<File>,
    /// The tensor that comes next, and what is there of it.
    next: usize,
    part: Vec<u8>,
}

/// What has arrived, shared with those who wait for more.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    announced: OnceLock<Announced>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Announced {
    /// The file up to its first tensor.
    head: Vec<u8>,
    /// In the order of their bytes.
    tensors: Vec<OnceLock<Box<[u8]>>>,
}

#[derive(Debug, Default)]
struct State {
    /// Tensors that are there, from the first.
    count: usize,
    failure: Option<Error>,
    waiting: Vec<Waker>,
}

impl Arriving {
    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if they are not a checkpoint's or lie beyond its end, now and ever after.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.arrived.alive()?;
        self.take(bytes).inspect_err(|e| self.arrived.fail(e))
    }

    /// Bytes of the whole file, once its header is there.
    pub fn length(&self) -> Option<usize> {
        self.file.as_ref().map(|file| file.length)
    }

    /// Says that this was all.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if bytes are missing; as [`Arriving::push`].
    pub fn finish(&mut self) -> Result<()> {
        if let Some(cut) = self.missing() {
            self.arrived.fail(&cut);
        }
        self.arrived.alive()
    }

    /// The error for a file that ends here, where it may not.
    fn missing(&self) -> Option<Error> {
        let Some(file) = &self.file else { return File::parse(self.head.clone().into()).err() };
        let received = file.tensors.get(self.next)?.range.start + self.part.len();
        Some(cut_or_longer(received))
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        if self.file.is_some() {
            return self.fill(bytes);
        }
        self.head.extend_from_slice(bytes);
        let Some(length) = self.head.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)) else { return Ok(()) };
        let end = usize::try_from(length).ok().and_then(|n| n.checked_add(8)).unwrap_or(usize::MAX);
        let foreign = self.head.get(8).is_some_and(|b| *b != b'{');
        if self.head.len() < if foreign { TELLING } else { end } {
            return Ok(());
        }
        if foreign {
            return Err(File::parse(self.head.clone().into()).err().unwrap_or_else(|| cut_or_longer(self.head.len())));
        }
        let rest = self.head.split_off(end);
        let file = File::announced(&self.head, self.arrived.clone())?;
        let tensors = file.tensors.iter().map(|_| OnceLock::new()).collect();
        // Nobody else sets it.
        let _ = self.arrived.announced.set(Announced { head: std::mem::take(&mut self.head), tensors });
        self.arrived.wake(0);
        self.file = Some(file);
        self.fill(&rest)
    }

    /// Takes bytes of tensors.
    fn fill(&mut self, mut bytes: &[u8]) -> Result<()> {
        let (Some(file), Some(announced)) = (&self.file, self.arrived.announced.get()) else { return Ok(()) };
        while let (Some(tensor), Some(place)) = (file.tensors.get(self.next), announced.tensors.get(self.next)) {
            if self.part.is_empty() {
                self.part.reserve_exact(tensor.range.len().min(ROOM));
            }
            let missing = tensor.range.len() - self.part.len();
            let (now, later) = bytes.split_at(missing.min(bytes.len()));
            self.part.extend_from_slice(now);
            bytes = later;
            if now.len() < missing {
                break;
            }
            let _ = place.set(std::mem::take(&mut self.part).into());
            self.next += 1;
        }
        self.arrived.wake(self.next);
        if bytes.is_empty() { Ok(()) } else { Err(cut_or_longer(file.length + bytes.len())) }
    }

    pub(crate) fn arrived(&self) -> &Arc<Arrived> {
        &self.arrived
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        // Whoever waits has been told.
        let _ = self.finish();
    }
}

fn cut_or_longer(length: usize) -> Error {
    Error::Checkpoint(explain(&SafeTensorError::MetadataIncompleteBuffer, length))
}

impl Arrived {
    /// The file, as soon as its header is there.
    pub async fn file(self: Arc<Self>) -> Result<File> {
        let head = self.until(|_| self.announced.get().map(|announced| &announced.head)).await?;
        File::announced(head, self.clone())
    }

    /// The bytes of a tensor, if all of them are there.
    pub fn tensor(&self, index: usize) -> Option<&[u8]> {
        Some(self.announced.get()?.tensors.get(index)?.get()?)
    }

    /// How many tensors are there.
    pub fn count(&self) -> usize {
        self.lock().count
    }

    /// Waits until more than `count` are.
    pub async fn more_than(&self, count: usize) -> Result<()> {
        self.until(|state| (state.count > count).then_some(())).await
    }

    /// Tells all who wait, and who pushes, that nothing comes of it.
    pub fn fail(&self, error: &Error) {
        self.lock().failure.get_or_insert_with(|| error.clone());
        self.wake(0);
    }

    fn alive(&self) -> Result<()> {
        self.lock().failure.clone().map_or(Ok(()), Err)
    }

    fn wake(&self, count: usize) {
        let waiting = {
            let mut state = self.lock();
            state.count = state.count.max(count);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    async fn until<T>(&self, there: impl Fn(&State) -> Option<T>) -> Result<T> {
        poll_fn(|context| {
            let mut state = self.lock();
            if let Some(found) = there(&state) {
                return Poll::Ready(Ok(found));
            }
            if let Some(failure) = &state.failure {
                return Poll::Ready(Err(failure.clone()));
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
