//! Many pictures through a model: decoded on other threads, in batches, one batch on the device while the next is made ready.
//!
//! What must hold: results come in the order of the list; a picture that fails costs its own result and no other's.

use crate::decoder::{self, Decoded, Decoder, Next};
use crate::failure::Outcome;
use crate::interrupt;
use crate::pictures::Place;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mobilenet_wgpu::classifier::Running;
use mobilenet_wgpu::engine::Outputs;
use mobilenet_wgpu::gpu::DeviceClass;
use mobilenet_wgpu::picture::DecodeLimits;
use mobilenet_wgpu::{Classifier, Error, Picture};
use std::collections::VecDeque;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Batches under way at one time.
pub const IN_FLIGHT: usize = 2;

/// How long a picture is waited for before the device is looked after.
const PATIENCE: Duration = Duration::from_millis(1);

/// Bytes of pixels after which a batch is closed: large photographs go a few at a time.
const LARGEST_BATCH: u64 = 64 << 20;

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

/// What is told of each picture, in order: its answer, or why there is none.
pub type Each<'a> = dyn FnMut(&Place, Result<Answer<'_>, &str>) -> Outcome<()> + 'a;

/// Runs `places` through the classifier. `each` is told the answer, or why there is none, for each in order.
pub fn run(
    places: Vec<Place>,
    classifier: &mut Classifier,
    limits: DecodeLimits,
    mut each: impl FnMut(&Place, Result<Answer<'_>, &str>) -> Outcome<()>,
) -> Outcome<()> {
    let bar = progress(places.len());
    let decoder = Decoder::new(places, classifier.max_batch() * IN_FLIGHT, limits, shares_the_processor(classifier));
    let mut pipeline = Pipeline { classifier, bar, under_way: VecDeque::new(), last_end: Instant::now(), each: &mut each };
    pipeline.run(decoder)
}

struct Pipeline<'a> {
    classifier: &'a mut Classifier,
    bar: ProgressBar,
    /// Batches on the device, the oldest first.
    under_way: VecDeque<Batch>,
    /// When the last batch was done.
    last_end: Instant,
    each: &'a mut Each<'a>,
}

impl Pipeline<'_> {
    fn run(&mut self, mut decoder: Decoder) -> Outcome<()> {
        loop {
            let decoded = self.gather(&mut decoder)?;
            let more = !decoded.is_empty();
            if more {
                self.under_way.push_back(Batch::submit(decoded, self.classifier)?);
            }
            // One batch is left to the device while the next one is gathered.
            while self.under_way.len() >= if more { IN_FLIGHT } else { 1 } {
                self.finish_oldest()?;
            }
            if !more {
                self.bar.finish_and_clear();
                return Ok(());
            }
        }
    }

    /// A batch of pictures; what the device finishes meanwhile is told.
    fn gather(&mut self, decoder: &mut Decoder) -> Outcome<Vec<Decoded>> {
        let (mut decoded, mut bytes) = (Vec::new(), 0);
        // Whoever is interrupted finishes what is under way.
        while decoded.len() < self.classifier.max_batch() && bytes < LARGEST_BATCH && !interrupt::asked() {
            let patience = (!self.under_way.is_empty()).then_some(PATIENCE);
            match decoder.next_within(patience) {
                Next::Decoded(picture) => {
                    bytes += decoder::size(&picture.1);
                    decoded.push(*picture);
                }
                Next::End => break,
                Next::NotYet => {
                    if self.under_way.front_mut().map_or(Ok(false), Batch::is_done)? {
                        self.finish_oldest()?;
                    }
                }
            }
        }
        Ok(decoded)
    }

    fn finish_oldest(&mut self) -> Outcome<()> {
        let Some(batch) = self.under_way.pop_front() else { return Ok(()) };
        let count = batch.members.len() as u64;
        let Self { classifier, bar, last_end, each, .. } = self;
        bar.suspend(|| batch.finish(classifier, last_end, *each))?;
        bar.inc(count);
        Ok(())
    }
}

/// Whether the network is computed on the cores that decode.
pub fn shares_the_processor(classifier: &Classifier) -> bool {
    classifier.session().is_some_and(|session| session.engine().profile().class == DeviceClass::Software)
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
    /// The outputs, and when they came.
    done: Option<(Outputs, Instant)>,
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
        Ok(Self { members, pictures, running, started, done: None })
    }

    /// Whether its outputs are there; never waits.
    fn is_done(&mut self) -> Outcome<bool> {
        if let (None, Some(running)) = (&self.done, &mut self.running) {
            self.done = running.try_take()?.map(|outputs| (outputs, Instant::now()));
        }
        Ok(self.done.is_some())
    }

    fn finish(mut self, classifier: &mut Classifier, last_end: &mut Instant, each: &mut Each<'_>) -> Outcome<()> {
        let (outputs, end) = match (self.done.take(), self.running.take()) {
            (Some(done), _) => done,
            (None, Some(running)) => (running.wait()?, Instant::now()),
            (None, None) => return self.one_by_one(classifier, each),
        };
        // While the batch before this one was on the device, this one waited: that time is not its own.
        let time = end - self.started.max(*last_end).min(end);
        *last_end = end;
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
    fn one_by_one(self, classifier: &mut Classifier, each: &mut Each<'_>) -> Outcome<()> {
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
