//! Pictures decoded on threads of their own, ahead of who needs them, in order, and within a bound of memory.
//!
//! Each picture has a channel of its own; their receivers go to the reader through a bounded channel in the order of the
//! list, the jobs to the threads through another. Pixels that wait are counted: a thread holds its picture back while too
//! many wait, but never the one that the reader needs next.

use crate::pictures::Place;
use mobilenet_wgpu::Picture;
use mobilenet_wgpu::picture::DecodeLimits;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Most bytes of pixels that wait to be taken.
const LARGEST_BACKLOG: u64 = 256 << 20;

/// A picture or why there is none, with its place.
pub type Decoded = (Place, Result<Picture, String>);

type Job = (usize, Place, SyncSender<Decoded>);

/// What there is of the next picture.
pub enum Next {
    /// It is decoded, or cannot be.
    Decoded(Box<Decoded>),
    /// It is being decoded.
    NotYet,
    /// There is none.
    End,
}

/// The pictures of a list, in its order. Dropping it ends the threads after the pictures at hand.
pub struct Decoder {
    ordered: Receiver<Receiver<Decoded>>,
    /// Where the next picture will come from.
    next: Option<Receiver<Decoded>>,
    backlog: Arc<Backlog>,
}

#[derive(Default)]
struct Backlog {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: u64,
    /// Index of the picture that the reader needs next.
    next: usize,
    closed: bool,
}

impl Backlog {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Waits until a picture of `bytes` may join those that wait.
    fn admit(&self, index: usize, bytes: u64) {
        let mut state = self.lock();
        while state.bytes + bytes > LARGEST_BACKLOG && state.bytes > 0 && index > state.next && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.bytes += bytes;
    }
    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

impl Decoder {
    /// Starts decoding; about `ahead` pictures are kept ready. `behind`: behind whoever else computes. A software adapter has a thread on
    /// each core and waits for the slowest, so a picture that is decoded in the middle of a kernel costs it that time on every core.
    pub fn new(places: Vec<Place>, ahead: usize, limits: DecodeLimits, behind: bool) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(places.len().max(1));
        let (to_reader, ordered) = sync_channel(ahead.max(1));
        let (to_threads, jobs) = channel::<Job>();
        let (jobs, backlog) = (Arc::new(Mutex::new(jobs)), Arc::new(Backlog::default()));
        for _ in 0..threads {
            let (jobs, backlog) = (jobs.clone(), backlog.clone());
            std::thread::spawn(move || {
                if behind {
                    yield_to_others();
                }
                work(&jobs, &backlog, limits);
            });
        }
        std::thread::spawn(move || feed(places, &to_reader, &to_threads));
        Self { ordered, next: None, backlog }
    }

    /// The next picture, if it is there within `patience` (`None`: as long as it takes).
    pub fn next_within(&mut self, patience: Option<Duration>) -> Next {
        let next = match self.next.take() {
            Some(next) => next,
            // Places come far quicker than pictures.
            None => match self.ordered.recv() {
                Ok(next) => next,
                Err(_) => return Next::End,
            },
        };
        let decoded = match patience {
            Some(patience) => next.recv_timeout(patience),
            None => next.recv().map_err(RecvTimeoutError::from),
        };
        match decoded {
            Ok(decoded) => {
                self.backlog.change(|waiting| {
                    waiting.next += 1;
                    waiting.bytes = waiting.bytes.saturating_sub(size(&decoded.1));
                });
                Next::Decoded(Box::new(decoded))
            }
            Err(RecvTimeoutError::Timeout) => {
                self.next = Some(next);
                Next::NotYet
            }
            Err(RecvTimeoutError::Disconnected) => Next::End,
        }
    }
}

/// Has this thread run where others leave room, as far as the system has priorities for threads.
fn yield_to_others() {
    #[cfg(target_os = "linux")]
    {
        const LOWER: i32 = 10;
        let thread = Some(rustix::thread::gettid());
        if let Ok(now) = rustix::process::getpriority_process(thread) {
            // It decodes at any priority.
            let _ = rustix::process::setpriority_process(thread, (now + LOWER).min(19));
        }
    }
}

impl Iterator for Decoder {
    type Item = Decoded;
    fn next(&mut self) -> Option<Decoded> {
        match self.next_within(None) {
            Next::Decoded(decoded) => Some(*decoded),
            Next::NotYet | Next::End => None,
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        self.backlog.change(|waiting| waiting.closed = true);
    }
}

/// Hands out the jobs in order; ends when the reader is gone.
fn feed(places: Vec<Place>, to_reader: &SyncSender<Receiver<Decoded>>, to_threads: &Sender<Job>) {
    for (index, place) in places.into_iter().enumerate() {
        let (result, receiver) = sync_channel(1);
        if to_reader.send(receiver).is_err() || to_threads.send((index, place, result)).is_err() {
            return;
        }
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, backlog: &Backlog, limits: DecodeLimits) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((index, place, result)) = job else { return };
        let picture = place.decode(&limits);
        backlog.admit(index, size(&picture));
        // That the reader is gone is no matter: then this job's channel is, too.
        let _ = result.send((place, picture));
    }
}

/// Bytes of its pixels.
pub fn size(picture: &Result<Picture, String>) -> u64 {
    picture.as_ref().map_or(0, |p| p.rgba().len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn order_is_kept_and_what_is_missing_is_told() {
        let places: Vec<_> = (0..100).map(|i| Place::File(PathBuf::from(format!("missing-{i}.png")))).collect();
        let decoded: Vec<_> = Decoder::new(places.clone(), 3, DecodeLimits::default(), true).collect();
        assert_eq!(decoded.iter().map(|d| d.0.clone()).collect::<Vec<_>>(), places);
        assert!(decoded.iter().all(|d| d.1.is_err()));
    }

    #[test]
    fn an_early_end_is_no_deadlock() {
        let places = (0..1000).map(|i| Place::File(PathBuf::from(format!("missing-{i}.png")))).collect();
        assert_eq!(Decoder::new(places, 2, DecodeLimits::default(), false).take(3).count(), 3);
    }
}
