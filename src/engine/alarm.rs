//! Futures are woken after a while, too: natively wgpu calls back only where somebody polls the device, and a program may do nothing
//! but wait for its future. Woken, the future polls the device, without waiting.
//!
//! One thread an engine, from the first future that has to wait until none has for a second. It sleeps and wakes; it touches no
//! device, so that no callback of the application's is run on it.

use super::lock;
use super::place::Place;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the thread stays without work.
const LINGER: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Alarm {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: bool,
    /// At most one entry a place.
    waiting: Vec<(Instant, Arc<Place>)>,
}

impl Alarm {
    /// Wakes whoever waits for `place`, which has taken so long until now: soon at first, later an eighth of that after, so that
    /// asking costs little and delays little.
    pub fn set(self: &Arc<Self>, place: &Arc<Place>, waited: Duration) {
        let after = (waited / 8).clamp(Duration::from_micros(50), Duration::from_millis(1));
        let mut state = lock(&self.state);
        if state.waiting.iter().any(|(_, known)| Arc::ptr_eq(known, place)) {
            return;
        }
        state.waiting.push((Instant::now() + after, place.clone()));
        if !state.running {
            let alarm = self.clone();
            let thread = std::thread::Builder::new().name("mobilenet".into());
            state.running = thread.spawn(move || alarm.ring()).is_ok();
        }
        if state.running {
            self.changed.notify_one();
        } else {
            // No thread is to be had: at once, then.
            state.waiting.clear();
            drop(state);
            place.wake_early();
        }
    }

    fn ring(&self) {
        let mut state = lock(&self.state);
        loop {
            let now = Instant::now();
            let due: Vec<_> = state.waiting.extract_if(.., |(at, _)| *at <= now).collect();
            if !due.is_empty() {
                drop(state);
                due.iter().for_each(|(_, place)| place.wake_early());
                state = lock(&self.state);
                continue;
            }
            let next = state.waiting.iter().map(|(at, _)| at.saturating_duration_since(now)).min();
            let (woken, ended) = self.changed.wait_timeout(state, next.unwrap_or(LINGER)).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if next.is_none() && ended.timed_out() && state.waiting.is_empty() {
                state.running = false;
                return;
            }
        }
    }
}
