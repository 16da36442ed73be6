//! How fast a folder goes through: decoding alone, inference alone, and both at once as `classify` has it.
//!
//! The whole should reach nine tenths of the slower of the two. Where both are computed by the same processor they share it, and
//! nine tenths are about what is left.

use crate::backend::Backend;
use crate::decoder::{Decoder, Next};
use crate::failure::{Failure, Outcome};
use crate::options::DeviceOptions;
use crate::output::Output;
use crate::pictures::{self, Place};
use crate::pipeline::{self, IN_FLIGHT};
use mobilenet_wgpu::engine::SessionOptions;
use mobilenet_wgpu::measure::quantile;
use mobilenet_wgpu::picture::DecodeLimits;
use mobilenet_wgpu::{Classifier, Model, Picture};
use serde::Serialize;
use std::collections::VecDeque;
use std::path::Path;
use std::time::Instant;

/// Bytes of pixels that are kept for inference alone.
const LARGEST_SAMPLE: usize = 128 << 20;

/// Times that each of the three is measured, in turn, where they are short.
const ROUNDS: usize = 5;

/// Seconds after which no other round is begun.
const ENOUGH: f64 = 30.0;

/// Measures the pictures of `folder` at the batch that `classify` would take, and tells.
pub fn run(folder: &Path, backend: &Backend, model: &Model, device: &DeviceOptions, base: SessionOptions, json: bool) -> Outcome<()> {
    let places = pictures::list(&[folder.to_path_buf()])?;
    let batch = backend.batch_for(places.len(), model.input_size());
    let mut classifier = backend.classifier(model, device, SessionOptions { batch, in_flight: IN_FLIGHT, ..base })?;
    let speeds = Speeds::measure(&places, &mut classifier)?;
    let mut out = Output::new();
    if json {
        out.json(&speeds)?
    } else {
        speeds.show(&mut out)?
    }
    out.flush()
}

/// Pictures a second, the median of the rounds.
#[derive(Debug, Serialize)]
struct Speeds {
    /// Pictures that could be read.
    pictures: usize,
    /// Pictures at a time.
    batch: usize,
    /// Decoding alone.
    decode_per_s: f64,
    /// Inference alone, from decoded pixels.
    inference_per_s: f64,
    /// From files to results.
    images_per_s: f64,
    /// Of each round, `images_per_s` by the slower of the two: the median.
    share: f64,
    /// Rounds, each of the three in turn.
    rounds: usize,
}

impl Speeds {
    /// Measures all three over `places`.
    fn measure(places: &[Place], classifier: &mut Classifier) -> Outcome<Self> {
        let (ahead, behind) = (classifier.max_batch() * IN_FLIGHT, pipeline::shares_the_processor(classifier));
        let (sample, pictures, mut decode_per_s) = decode(places, ahead, behind, LARGEST_SAMPLE);
        if sample.is_empty() {
            return Err(Failure::new("--folder: none of its pictures could be read"));
        }
        // Kernels are compiled before.
        classifier.run_pictures(&sample[..sample.len().min(classifier.max_batch())])?;
        let (start, mut rounds) = (Instant::now(), Vec::new());
        loop {
            let inference_per_s = infer(&sample, pictures, classifier)?;
            let started = Instant::now();
            pipeline::run(places.to_vec(), classifier, DecodeLimits::default(), |_, _| Ok(()))?;
            let images_per_s = pictures as f64 / started.elapsed().as_secs_f64();
            rounds.push([decode_per_s, inference_per_s, images_per_s, images_per_s / decode_per_s.min(inference_per_s)]);
            if rounds.len() >= ROUNDS || start.elapsed().as_secs_f64() > ENOUGH {
                break;
            }
            decode_per_s = decode(places, ahead, behind, 0).2;
        }
        let median = |which: usize| {
            let mut values: Vec<f64> = rounds.iter().map(|round| round[which]).collect();
            values.sort_by(f64::total_cmp);
            quantile(&values, 0.5).unwrap_or_default()
        };
        let [decode_per_s, inference_per_s, images_per_s, share] = [0, 1, 2, 3].map(median);
        Ok(Self { pictures, batch: classifier.max_batch(), decode_per_s, inference_per_s, images_per_s, share, rounds: rounds.len() })
    }

    /// Tells them.
    fn show(&self, out: &mut Output) -> Outcome<()> {
        let rounds = if self.rounds > 1 { format!("; medians of {} rounds", self.rounds) } else { String::new() };
        out.line(format!("{} pictures, {} at a time{rounds}", self.pictures, self.batch))?;
        out.line(format!("decoding alone   {:9.1} pictures/s", self.decode_per_s))?;
        out.line(format!("inference alone  {:9.1} pictures/s", self.inference_per_s))?;
        out.line(format!("both             {:9.1} pictures/s, {:.0} % of the slower", self.images_per_s, self.share * 100.0))
    }
}

/// The first pictures, as many as `kept` bytes hold and at least one; how many could be read, and how many a second.
fn decode(places: &[Place], ahead: usize, behind: bool, kept: usize) -> (Vec<Picture>, usize, f64) {
    let (mut sample, mut bytes, mut pictures) = (Vec::new(), 0, 0);
    let started = Instant::now();
    let mut decoder = Decoder::new(places.to_vec(), ahead, DecodeLimits::default(), behind);
    while let Next::Decoded(decoded) = decoder.next_within(None) {
        let Ok(picture) = decoded.1 else { continue };
        pictures += 1;
        bytes += picture.rgba().len();
        if bytes <= kept || sample.is_empty() {
            sample.push(picture);
        }
    }
    (sample, pictures, pictures as f64 / started.elapsed().as_secs_f64())
}

/// Pictures a second of `sample` again and again, as many pictures as there are in the folder.
fn infer(sample: &[Picture], pictures: usize, classifier: &mut Classifier) -> Outcome<f64> {
    let started = Instant::now();
    let (mut done, mut under_way) = (0, VecDeque::new());
    while done < pictures {
        for batch in sample.chunks(classifier.max_batch()) {
            if under_way.len() >= IN_FLIGHT {
                wait(&mut under_way)?;
            }
            under_way.push_back(classifier.submit(batch)?);
            done += batch.len();
            if done >= pictures {
                break;
            }
        }
    }
    while !under_way.is_empty() {
        wait(&mut under_way)?;
    }
    Ok(done as f64 / started.elapsed().as_secs_f64())
}

fn wait(under_way: &mut VecDeque<mobilenet_wgpu::classifier::Running>) -> Outcome<()> {
    if let Some(running) = under_way.pop_front() {
        running.wait()?;
    }
    Ok(())
}
