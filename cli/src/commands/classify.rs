//! `mobilenet classify`: what pictures show.

use crate::backend;
use crate::failure::{EXIT_CODES, Failure, Outcome, Status, tell};
use crate::interrupt;
use crate::model;
use crate::options::{DeviceOptions, ModelOptions};
use crate::output::{Output, bar};
use crate::pictures::{self, Place};
use crate::pipeline::{self, Answer};
use mobilenet_wgpu::engine::SessionOptions;
use mobilenet_wgpu::labels::Labels;
use mobilenet_wgpu::picture::DecodeLimits;
use mobilenet_wgpu::{Classifier, Prediction};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  mobilenet classify photo.jpg
  mobilenet classify --model model.safetensors --top 3 photos/ more/*.png
  mobilenet classify --json photos/ | jq -r 'select(.error) | .path'
  curl -s https://example.org/photo.jpg | mobilenet classify -

With --json there is one object for each picture, in the order of the pictures:
  {\"path\": …, \"predictions\": [{\"index\": …, \"label\": …, \"wnid\": …, \"probability\": …}, …], \"ms\": …, \"batch\": …}
  {\"path\": …, \"error\": …}
index is the model's own output; ms is from decoded pixels to the result (of a batch: its time divided by its pictures).";

/// What pictures show: labels with probabilities
#[derive(clap::Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Arguments {
    /// Pictures (JPEG, PNG, WebP, BMP, GIF), folders with all that is below them, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelOptions,
    /// How many labels a picture gets
    #[arg(long, short = 'k', default_value_t = 5, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// Pictures at a time [default: what is good for the device]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// Most pixels of a picture; larger ones are an error
    #[arg(long, value_name = "PIXELS", default_value_t = DecodeLimits::default().pixels)]
    max_pixels: u64,
    /// Leave out the first N pictures, which an interrupted run did
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: usize,
    /// One JSON object for each picture and line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceOptions,
}

/// Classifies the pictures.
pub fn run(arguments: &Arguments) -> Outcome {
    interrupt::install();
    let mut places = pictures::list(&arguments.paths)?;
    let total = places.len();
    places.drain(..arguments.skip.min(total));
    let (model, _) = model::load(&arguments.model)?;
    if model.recognition().classes.is_none() {
        return Err(Failure::new(
            "the model has no classifier, only features\nnext: `mobilenet run --outputs embedding`, or another --model",
        ));
    }
    let backend = backend::open(&arguments.device)?;
    let options = SessionOptions {
        batch: arguments.batch.unwrap_or_else(|| backend.batch_for(places.len(), model.input_size())),
        outputs: vec!["probabilities".into()],
        in_flight: pipeline::IN_FLIGHT,
        ..SessionOptions::default()
    };
    let mut classifier = backend.classifier(&model, &arguments.device, options)?;
    let mut report = Report { out: Output::new(), json: arguments.json, top: arguments.top as usize, done: arguments.skip, failed: false };
    report.begin(&classifier)?;
    let limits = DecodeLimits { pixels: arguments.max_pixels };
    pipeline::run(places, &mut classifier, limits, |place, answer| report.picture(place, answer, model.labels()))?;
    report.out.flush()?;
    if report.done < total {
        tell(&format!("interrupted: {} of {total} pictures are done; go on with the same command and --skip {}", report.done, report.done));
        return Ok(Status::SomeFailed);
    }
    Ok(if report.failed { Status::SomeFailed } else { backend.status() })
}

/// A picture's line of JSON.
#[derive(serde::Serialize)]
struct Line {
    path: String,
    predictions: Vec<Prediction>,
    ms: f64,
    batch: usize,
}

/// A line of JSON for a picture that failed.
#[derive(serde::Serialize)]
struct ErrorLine<'a> {
    path: String,
    error: &'a str,
}

struct Report {
    out: Output,
    json: bool,
    top: usize,
    /// Pictures that are done, those that were left out counted.
    done: usize,
    failed: bool,
}

impl Report {
    /// Which network computes where.
    fn begin(&mut self, classifier: &Classifier) -> Outcome<()> {
        if self.json {
            return Ok(());
        }
        let [height, width] = classifier.size();
        let network = classifier.model().config().map_or("network".into(), |c| format!("{} {}", c.version, c.width()));
        let line = format!("{network}, {height}x{width}, on {}", classifier.backend());
        self.out.line(self.out.dim(line))
    }

    fn picture(&mut self, place: &Place, answer: Result<Answer<'_>, &str>, labels: &Labels) -> Outcome<()> {
        self.done += 1;
        let answer = match answer {
            Ok(answer) => answer,
            Err(why) => return self.error(place, why),
        };
        let probabilities = answer.outputs.get("probabilities").map(|t| t.picture(answer.index)).unwrap_or_default();
        let predictions = Prediction::best(probabilities, labels, self.top);
        if self.json {
            let (path, ms, batch) = (place.to_string(), answer.ms, answer.batch);
            self.out.json(&Line { path, predictions, ms, batch })?;
        } else {
            self.table(place, &predictions, &answer)?;
        }
        // A reader of a pipe gets what a batch gives when it is there.
        if answer.index + 1 == answer.batch { self.out.flush() } else { Ok(()) }
    }

    fn error(&mut self, place: &Place, why: &str) -> Outcome<()> {
        self.failed = true;
        if self.json {
            return self.out.json(&ErrorLine { path: place.to_string(), error: why });
        }
        self.out.flush()?;
        tell(&format!("error: {place}: {why}"));
        Ok(())
    }

    fn table(&mut self, place: &Place, predictions: &[Prediction], answer: &Answer<'_>) -> Outcome<()> {
        const BAR: usize = 24;
        let batch = if answer.batch > 1 { format!(", in a batch of {}", answer.batch) } else { String::new() };
        let time = self.out.dim(format!("{:.1} ms{batch}", answer.ms));
        self.out.line(format!("\n{}  {time}", self.out.bold(place)))?;
        for prediction in predictions {
            let drawn = bar(prediction.probability, BAR);
            let space = " ".repeat(BAR - drawn.chars().count());
            let drawn = self.out.accent(drawn);
            self.out.line(format!("  {:6.2} %  {drawn}{space}  {}", prediction.probability * 100.0, prediction.label))?;
        }
        Ok(())
    }
}
