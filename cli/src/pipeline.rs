//! Many pictures through a model: decoded on other threads, in batches, one batch on the device while the next is made ready.
//!
//! What must hold: results come in the order of the list; a picture that fails costs its own result and no other's.

use crate::decoder::{Decoded, Decoder};
use crate::failure::Outcome;
use crate::pictures::Place;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mobilenet_wgpu::classifier::Running;
use mobilenet_wgpu::engine::Outputs;
use mobilenet_wgpu::picture::DecodeLimits;
use mobilenet_wgpu::{Classifier, Error, Picture};
use std::collections::VecDeque;
use std::io::IsTerminal;
use std::time::Instant;

/// Batches under way at one time.
pub const IN_FLIGHT: usize = 2;

/// As few pictures are done before a bar would be read.
const SMALLEST_BAR: usize = 16;

/// The model's outputs for one picture.
pub struct Answer<'a> {
    /// The outputs of its batch.
    pub outputs: &'a Outputs,
    /// Its place in the batch.
    pub index: usize,
    /// Pictures of the batch.
    pub batch: usize,
    /// From decoded pixels to the result, the batch's time divided by its pictures.
    pub ms: f64,
}

/// Runs `places` through the classifier. `each` is told the answer, or why there is none, for each in order.
pub fn run(
    places: Vec<Place>,
    classifier: &mut Classifier,
    limits: DecodeLimits,
    mut each: impl FnMut(&Place, Result<Answer<'_>, &str>) -> Outcome<()>,
) -> Outcome<()> {
    let bar = progress(places.len());
    let most = classifier.max_batch();
    let mut decoder = Decoder::new(places, most * IN_FLIGHT, limits);
    let mut under_way: VecDeque<Batch> = VecDeque::new();
    let mut last_end = Instant::now();
    loop {
        let decoded: Vec<Decoded> = decoder.by_ref().take(most).collect();
        let more = !decoded.is_empty();
        if more {
            under_way.push_back(Batch::submit(decoded, classifier)?);
        }
        // One batch is left to the device while the next one is gathered.
        while under_way.len() >= if more { IN_FLIGHT } else { 1 } {
            let Some(batch) = under_way.pop_front() else { break };
            let count = batch.members.len() as u64;
            bar.suspend(|| batch.finish(classifier, &mut last_end, &mut each))?;
            bar.inc(count);
        }
        if !more {
            bar.finish_and_clear();
            return Ok(());
        }
    }
}

/// A bar on standard error, if that is a terminal and there is much to do.
pub fn progress(length: usize) -> ProgressBar {
    let shown = length >= SMALLEST_BAR && std::io::stderr().is_terminal();
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {per_sec}  {eta} left");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(length as u64), target).with_style(style)
}

/// Pictures that were decoded together.
struct Batch {
    /// Each with its place among the pictures of the batch, or why it has none.
    members: Vec<(Place, Result<usize, String>)>,
    pictures: Vec<Picture>,
    running: Option<Running>,
    started: Instant,
}

impl Batch {
    fn submit(decoded: Vec<Decoded>, classifier: &mut Classifier) -> Outcome<Self> {
        let mut pictures = Vec::new();
        let mut members = Vec::new();
        for (place, picture) in decoded {
            let member = picture.map(|picture| {
                pictures.push(picture);
                pictures.len() - 1
            });
            members.push((place, member));
        }
        let started = Instant::now();
        let mut running = None;
        if !pictures.is_empty() {
            match classifier.submit(&pictures) {
                Ok(under_way) => running = Some(under_way),
                Err(error) if is_of_one(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self { members, pictures, running, started })
    }

    fn finish(
        self,
        classifier: &mut Classifier,
        last_end: &mut Instant,
        each: &mut impl FnMut(&Place, Result<Answer<'_>, &str>) -> Outcome<()>,
    ) -> Outcome<()> {
        let Some(running) = self.running else { return self.one_by_one(classifier, each) };
        let outputs = running.wait()?;
        // While the batch before this one was on the device, this one waited: that time is not its own.
        let now = Instant::now();
        let time = now - self.started.max(*last_end).min(now);
        *last_end = now;
        let batch = self.pictures.len();
        let ms = time.as_secs_f64() * 1e3 / batch as f64;
        for (place, member) in &self.members {
            match member {
                Ok(index) => each(place, Ok(Answer { outputs: &outputs, index: *index, batch, ms }))?,
                Err(why) => each(place, Err(why))?,
            }
        }
        Ok(())
    }

    /// Some picture of the batch could not be taken: each alone, to find which.
    fn one_by_one(
        self,
        classifier: &mut Classifier,
        each: &mut impl FnMut(&Place, Result<Answer<'_>, &str>) -> Outcome<()>,
    ) -> Outcome<()> {
        for (place, member) in &self.members {
            let picture = member.as_ref().map(|index| self.pictures.get(*index..*index + 1).unwrap_or_default());
            let started = Instant::now();
            match picture.map(|picture| classifier.run_pictures(picture)) {
                Ok(Ok(outputs)) => {
                    let ms = started.elapsed().as_secs_f64() * 1e3;
                    each(place, Ok(Answer { outputs: &outputs, index: 0, batch: 1, ms }))?;
                }
                Ok(Err(error)) if is_of_one(&error) => each(place, Err(&error.to_string()))?,
                Ok(Err(error)) => return Err(error.into()),
                Err(why) => each(place, Err(why))?,
            }
        }
        Ok(())
    }
}

/// Whether an error is one picture's, and not the device's.
fn is_of_one(error: &Error) -> bool {
    matches!(error, Error::Picture(_) | Error::Input(_) | Error::Limit { .. })
}
