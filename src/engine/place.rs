//! One place of a session's ring, and who is told when the device is done with it.
//!
//! A place is free when its `Pending` is gone and the device is done with it. The callback that tells so owns a guard: if the
//! encoder is thrown away unsubmitted, the guard is dropped and the place is free again. No lock is held while others are told.

use super::lock;
use std::sync::{Arc, Mutex};
use std::task::Waker;

/// One place of a session's ring.
#[derive(Debug)]
pub(super) struct Place {
    pub input: wgpu::Buffer,
    /// The outputs, on the device.
    pub result: wgpu::Buffer,
    /// The outputs, for the host to read.
    pub staging: wgpu::Buffer,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    claimed: bool,
    device: Progress,
    listener: Option<Listener>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    #[default]
    Idle,
    Recorded,
    /// Done, and the outputs can be read by the host.
    Mapped,
    /// Done, and the outputs stay on the device.
    OnDevice,
    Failed,
    /// The commands were thrown away.
    Abandoned,
}

/// Who is told that the device is done.
enum Listener {
    Future(Waker),
    Callback(Box<dyn Told>),
}

/// A callback that may cross threads where wgpu's do.
pub(super) trait Told: FnOnce(&Place, Progress) + wgpu::WasmNotSend {}
impl<F: FnOnce(&Place, Progress) + wgpu::WasmNotSend> Told for F {}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Listener::Future(_)) { "Future" } else { "Callback" })
    }
}

impl Place {
    pub fn new(input: wgpu::Buffer, result: wgpu::Buffer, staging: wgpu::Buffer) -> Self {
        Self { input, result, staging, state: Mutex::default() }
    }
    /// Takes the place if it is free.
    pub fn claim(&self) -> bool {
        let mut state = lock(&self.state);
        let free = !state.claimed && state.device != Progress::Recorded;
        if free {
            *state = State { claimed: true, ..State::default() };
        }
        free
    }
    pub fn release(&self) {
        let mut state = lock(&self.state);
        state.claimed = false;
        self.settle(&mut state);
    }
    pub fn progress(&self) -> Progress {
        lock(&self.state).device
    }
    /// The outputs are read, or not wanted.
    pub fn unmap(&self) {
        let mut state = lock(&self.state);
        self.staging.unmap();
        state.device = Progress::Idle;
    }
    /// Has `waker` woken when the device is done.
    pub fn wake(&self, waker: &Waker) {
        lock(&self.state).listener = Some(Listener::Future(waker.clone()));
    }
    /// Wakes whoever waits although the device may not be done.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn wake_early(&self) {
        let waker = match &lock(&self.state).listener {
            Some(Listener::Future(waker)) => waker.clone(),
            _ => return,
        };
        waker.wake();
    }
    /// Has `told` called when the device is done: now, if it is.
    pub fn call(&self, told: Box<dyn Told>) {
        let progress = {
            let mut state = lock(&self.state);
            if state.device == Progress::Recorded {
                state.listener = Some(Listener::Callback(told));
                return;
            }
            state.device
        };
        told(self, progress);
    }
    /// Tells whoever waits how far the device is: once it is lost there may be nobody else to do so.
    pub fn tell(&self) {
        let (listener, progress) = {
            let mut state = lock(&self.state);
            (state.listener.take(), state.device)
        };
        match listener {
            Some(Listener::Future(waker)) => waker.wake(),
            Some(Listener::Callback(told)) => told(self, progress),
            None => {}
        }
    }
    fn advance(&self, progress: Progress) {
        {
            let mut state = lock(&self.state);
            state.device = progress;
            self.settle(&mut state);
        }
        self.tell();
    }
    /// Makes an unclaimed place idle once the device is done with it.
    fn settle(&self, state: &mut State) {
        if !state.claimed && state.device != Progress::Recorded {
            if matches!(state.device, Progress::Mapped | Progress::OnDevice) {
                self.staging.unmap();
            }
            state.device = Progress::Idle;
        }
    }
    /// Asks for the staging buffer to be mapped when `encoder` is submitted and done.
    pub fn read_back(self: &Arc<Self>, encoder: &wgpu::CommandEncoder) {
        self.ask(encoder, Progress::Mapped);
    }
    /// Asks to be told when `encoder` is submitted and done; nothing is read back. (Through the mapping, too: the callback
    /// of a finished submission would have to be `Send` in a browser, where buffers are not.)
    pub fn follow(self: &Arc<Self>, encoder: &wgpu::CommandEncoder) {
        self.ask(encoder, Progress::OnDevice);
    }
    fn ask(self: &Arc<Self>, encoder: &wgpu::CommandEncoder, done: Progress) {
        lock(&self.state).device = Progress::Recorded;
        let guard = Guard { place: self.clone(), told: false };
        let tell = move |result: Result<(), _>| guard.tell(if result.is_ok() { done } else { Progress::Failed });
        encoder.map_buffer_on_submit(&self.staging, wgpu::MapMode::Read, .., tell);
    }
}

/// Tells the place what became of its commands, also if they were never submitted.
struct Guard {
    place: Arc<Place>,
    told: bool,
}

impl Guard {
    fn tell(mut self, progress: Progress) {
        self.told = true;
        self.place.advance(progress);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.told {
            self.place.advance(Progress::Abandoned);
        }
    }
}
