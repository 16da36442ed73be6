//! How long a session's steps take on the browser's device. Timestamps where there are some: browsers round them (to
//! 100 microseconds), so a step is dispatched many times in a pass; else the page's clock around a submission.

use mobilenet_wgpu::engine::Session;
use mobilenet_wgpu::measure::{Clock, quantile};
use mobilenet_wgpu::{Error, Result, wgpu};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    pub fn now_ms() -> f64;
}

/// A step's sample takes this long at the least, in nanoseconds, if it can.
const LEAST: f64 = 2e6;
/// Dispatches in one sample at the most.
const MOST: u32 = 1024;

/// A callback's news as a future.
#[derive(Clone, Default)]
struct Signal(Arc<Mutex<(Option<bool>, Option<Waker>)>>);

impl Signal {
    fn lock(&self) -> MutexGuard<'_, (Option<bool>, Option<Waker>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn tell(&self, good: bool) {
        let waker = {
            let mut state = self.lock();
            state.0 = Some(good);
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Future for Signal {
    type Output = bool;
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.lock();
        match state.0 {
            Some(good) => Poll::Ready(good),
            None => {
                state.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

struct Stamps {
    set: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    staging: wgpu::Buffer,
}

/// Times the steps of one session.
pub struct Timer<'a> {
    session: &'a Session,
    stamps: Option<Stamps>,
}

impl<'a> Timer<'a> {
    /// The session must have run once: steps are repeated on what that left.
    pub fn new(session: &'a Session) -> Self {
        use wgpu::BufferUsages as U;
        let device = session.engine().device();
        let count = 2 * session.plan().steps.len() as u32;
        let stamped = session.engine().profile().timestamps && count <= 4096;
        let stamps = stamped.then(|| {
            let buffer = |usage| {
                let size = u64::from(count) * 8;
                device.create_buffer(&wgpu::BufferDescriptor { label: Some("timer"), size, usage, mapped_at_creation: false })
            };
            Stamps {
                set: device.create_query_set(&wgpu::QuerySetDescriptor { label: Some("timer"), ty: wgpu::QueryType::Timestamp, count }),
                resolved: buffer(U::QUERY_RESOLVE | U::COPY_SRC),
                staging: buffer(U::COPY_DST | U::MAP_READ),
            }
        });
        Self { session, stamps }
    }

    pub fn clock(&self) -> Clock {
        if self.stamps.is_some() { Clock::Timestamps } else { Clock::Wall }
    }

    /// Samples of every step, `rounds` of them, in nanoseconds a dispatch, and dispatches in a sample.
    pub async fn samples(&self, rounds: usize) -> Result<Vec<(Vec<f64>, u32)>> {
        let mut repeats = vec![1; self.session.plan().steps.len()];
        // A few rounds find how often a step must be repeated; the last of them warm up.
        for _ in 0..3 {
            let times = self.round(&repeats).await?;
            for (n, ns) in repeats.iter_mut().zip(times) {
                let enough = if ns > 0.0 { (LEAST / ns).ceil() } else { f64::from(*n) * 16.0 };
                *n = (enough.min(f64::from(MOST)) as u32).max(1);
            }
        }
        let mut samples = vec![Vec::new(); repeats.len()];
        for _ in 0..rounds {
            let times = self.round(&repeats).await?;
            samples.iter_mut().zip(times).for_each(|(sample, ns)| sample.push(ns));
        }
        Ok(samples.into_iter().zip(repeats).collect())
    }

    /// Nanoseconds of a dispatch of each step.
    async fn round(&self, repeats: &[u32]) -> Result<Vec<f64>> {
        match &self.stamps {
            Some(stamps) => self.by_timestamps(stamps, repeats).await,
            None => self.by_wall(repeats).await,
        }
    }

    async fn by_timestamps(&self, stamps: &Stamps, repeats: &[u32]) -> Result<Vec<f64>> {
        let engine = self.session.engine();
        let mut encoder = engine.device().create_command_encoder(&Default::default());
        for (i, repeats) in repeats.iter().enumerate() {
            let writes = wgpu::ComputePassTimestampWrites {
                query_set: &stamps.set,
                beginning_of_pass_write_index: Some(2 * i as u32),
                end_of_pass_write_index: Some(2 * i as u32 + 1),
            };
            let descriptor = wgpu::ComputePassDescriptor { label: Some("timed"), timestamp_writes: Some(writes) };
            self.session.record_step(&mut encoder.begin_compute_pass(&descriptor), i, *repeats);
        }
        encoder.resolve_query_set(&stamps.set, 0..2 * repeats.len() as u32, &stamps.resolved, 0);
        encoder.copy_buffer_to_buffer(&stamps.resolved, 0, &stamps.staging, 0, stamps.staging.size());
        let told = Signal::default();
        let teller = told.clone();
        encoder.map_buffer_on_submit(&stamps.staging, wgpu::MapMode::Read, .., move |mapped| teller.tell(mapped.is_ok()));
        engine.queue().submit([encoder.finish()]);
        if !told.await {
            return Err(Error::DeviceLost("a measurement could not be read back".into()));
        }
        let view = stamps.staging.get_mapped_range(..).map_err(|e| Error::Device(format!("a measurement is not mapped: {e}")))?;
        let ticks: Vec<u64> = view.chunks_exact(8).map(|b| u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])).collect();
        drop(view);
        stamps.staging.unmap();
        Ok(ticks.chunks_exact(2).zip(repeats).map(|(t, n)| t[1].saturating_sub(t[0]) as f64 / f64::from(*n)).collect())
    }

    async fn by_wall(&self, repeats: &[u32]) -> Result<Vec<f64>> {
        let empty = self.submission(0, 0).await?;
        let mut times = Vec::new();
        for (i, repeats) in repeats.iter().enumerate() {
            times.push((self.submission(i, *repeats).await? - empty).max(0.0) / f64::from(*repeats));
        }
        Ok(times)
    }

    /// Nanoseconds of a submission of `repeats` dispatches and the news of its end.
    async fn submission(&self, step: usize, repeats: u32) -> Result<f64> {
        let engine = self.session.engine();
        let mut encoder = engine.device().create_command_encoder(&Default::default());
        self.session.record_step(&mut encoder.begin_compute_pass(&Default::default()), step, repeats);
        let (start, done) = (now_ms(), Signal::default());
        engine.queue().submit([encoder.finish()]);
        let teller = done.clone();
        engine.queue().on_submitted_work_done(move || teller.tell(true));
        done.await;
        Ok((now_ms() - start) * 1e6)
    }
}

pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.5).unwrap_or(0.0)
}
