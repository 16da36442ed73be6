//! `mobilenet classify`: what pictures show.

use crate::backend;
use crate::failure::{EXIT_CODES, Failure, Outcome, Status, tell};
use crate::folders::identity;
use crate::folders::index::beside;
use crate::folders::journal::{Journal, same_pictures, tell_resuming};
use crate::interrupt;
use crate::model;
use crate::options::{DeviceOptions, ModelOptions};
use crate::output::{Output, bar, count};
use crate::pictures::{self, Place};
use crate::pipeline::{self, Answer};
use mobilenet_wgpu::engine::SessionOptions;
use mobilenet_wgpu::labels::Labels;
use mobilenet_wgpu::picture::DecodeLimits;
use mobilenet_wgpu::{Classifier, Prediction};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  mobilenet classify photo.jpg
  mobilenet classify --model model.safetensors --top 3 photos/ more/*.png
  mobilenet classify --json photos/ | jq -r 'select(.error) | .path'
  curl -s https://example.org/photo.jpg | mobilenet classify -
  mobilenet classify photos/ -o results.jsonl              JSON lines into a file that is whole when it is there
  mobilenet classify photos/ -o results.jsonl --resume     go on where Ctrl-C, or worse, ended it

Hidden files and folders are left out, links to folders followed. What stands on standard output is beyond recall, so only a run
with --output can --resume; of another, Ctrl-C says with which --skip N the same command goes on.

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
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "output")]
    skip: usize,
    /// One JSON object for each picture and line
    #[arg(long)]
    json: bool,
    /// Write the lines of JSON into a file instead
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Go on with the run that was interrupted or killed
    #[arg(long, requires = "output")]
    resume: bool,
    #[command(flatten)]
    device: DeviceOptions,
}

/// Classifies the pictures.
pub fn run(arguments: &Arguments) -> Outcome {
    interrupt::install();
    let mut places = pictures::list(&arguments.paths)?;
    let total = places.len();
    places.drain(..arguments.skip.min(total));
    let (model, source) = model::load(&arguments.model)?;
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
    let mut report = Report { to: To::People(Output::new()), top: arguments.top as usize, done: arguments.skip, failed: false };
    match &arguments.output {
        Some(output) => {
            let mut about = identity::of(&source.to_string(), &model, &classifier, &backend)?;
            about["labels"] = identity::labels(&model).into();
            let run = json!({"format": 1, "about": about, "top": arguments.top, "max_pixels": arguments.max_pixels});
            report.resume(output, &run, arguments.resume, &mut places)?;
        }
        None if arguments.json => report.to = To::Programs(Output::new()),
        None => report.begin(&classifier)?,
    }
    let limits = DecodeLimits { pixels: arguments.max_pixels };
    pipeline::run(places, &mut classifier, limits, |place, answer| report.picture(place, answer, model.labels()))?;
    let (done, failed) = (report.done, report.failed);
    report.finish(total, arguments.output.as_deref(), arguments.resume)?;
    if done < total {
        let how = if arguments.output.is_some() { "--resume".into() } else { format!("--skip {done}") };
        tell(&format!("interrupted: {done} of {total} pictures are done; go on with the same command and {how}"));
        return Ok(Status::SomeFailed);
    }
    Ok(if failed { Status::SomeFailed } else { backend.status() })
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

/// A line that an earlier run wrote.
#[derive(serde::Deserialize)]
struct Done {
    path: String,
    error: Option<String>,
}

/// Where results go.
enum To {
    /// A table a picture on standard output.
    People(Output),
    /// A line of JSON a picture on standard output.
    Programs(Output),
    /// A line of JSON a picture in a record that becomes a file.
    File(Journal),
}

struct Report {
    to: To,
    top: usize,
    /// Pictures that are done, those that were left out counted.
    done: usize,
    failed: bool,
}

impl Report {
    /// Which network computes where.
    fn begin(&mut self, classifier: &Classifier) -> Outcome<()> {
        let To::People(out) = &mut self.to else { return Ok(()) };
        let [height, width] = classifier.size();
        let network = classifier.model().config().map_or("network".into(), |c| format!("{} {}", c.version, c.width()));
        let line = format!("{network}, {height}x{width}, on {}", classifier.backend());
        out.line(out.dim(line))
    }

    /// Goes on with the record beside `output`, if that is asked for: `places` are then those that are left.
    fn resume(&mut self, output: &Path, run: &Value, resume: bool, places: &mut Vec<Place>) -> Outcome<()> {
        let (journal, done) = Journal::open::<Done>(&beside(output, ".partial.jsonl"), run, resume)?;
        same_pictures(done.iter().map(|line| line.path.as_str()), places)?;
        if resume {
            tell_resuming(done.len(), places.len());
        }
        places.drain(..done.len());
        self.done += done.len();
        self.failed = done.iter().any(|line| line.error.is_some());
        self.to = To::File(journal);
        Ok(())
    }

    fn picture(&mut self, place: &Place, answer: Result<Answer<'_>, &str>, labels: &Labels) -> Outcome<()> {
        self.done += 1;
        let answer = match answer {
            Ok(answer) => answer,
            Err(why) => return self.error(place, why),
        };
        let probabilities = answer.outputs.get("probabilities").map(|t| t.picture(answer.index)).unwrap_or_default();
        let predictions = Prediction::best(probabilities, labels, self.top);
        let line = |predictions| Line { path: place.to_string(), predictions, ms: answer.ms, batch: answer.batch };
        // A reader of a pipe gets what a batch gives when it is there.
        let last = answer.index + 1 == answer.batch;
        match &mut self.to {
            To::People(out) => {
                table(out, place, &predictions, &answer)?;
                if last { out.flush() } else { Ok(()) }
            }
            To::Programs(out) => {
                out.json(&line(predictions))?;
                if last { out.flush() } else { Ok(()) }
            }
            To::File(journal) => {
                journal.append(&line(predictions))?;
                if last { journal.flush() } else { Ok(()) }
            }
        }
    }

    fn error(&mut self, place: &Place, why: &str) -> Outcome<()> {
        self.failed = true;
        let line = ErrorLine { path: place.to_string(), error: why };
        match &mut self.to {
            To::People(out) => {
                out.flush()?;
                tell(&format!("error: {place}: {why}"));
                Ok(())
            }
            To::Programs(out) => out.json(&line),
            To::File(journal) => {
                tell(&format!("error: {place}: {why}"));
                journal.append(&line)
            }
        }
    }

    /// Writes what is left to be written, and the file if there is to be one.
    fn finish(self, total: usize, output: Option<&Path>, resumed: bool) -> Outcome<()> {
        match (self.to, output) {
            (To::People(mut out) | To::Programs(mut out), _) => out.flush(),
            (To::File(mut journal), Some(output)) => {
                journal.flush()?;
                let whole = self.done >= total;
                // What was there before a run that is not whole stays: it may be a whole one's.
                if whole || resumed || !output.exists() {
                    journal.write(output)?;
                    tell(&format!("{}: {} pictures", output.display(), count(self.done as u64)));
                }
                if whole {
                    journal.finish();
                }
                Ok(())
            }
            (To::File(mut journal), None) => journal.flush(),
        }
    }
}

fn table(out: &mut Output, place: &Place, predictions: &[Prediction], answer: &Answer<'_>) -> Outcome<()> {
    const BAR: usize = 24;
    let batch = if answer.batch > 1 { format!(", in a batch of {}", answer.batch) } else { String::new() };
    let time = out.dim(format!("{:.1} ms{batch}", answer.ms));
    out.line(format!("\n{}  {time}", out.bold(place)))?;
    for prediction in predictions {
        let drawn = bar(prediction.probability, BAR);
        let space = " ".repeat(BAR - drawn.chars().count());
        let drawn = out.accent(drawn);
        out.line(format!("  {:6.2} %  {drawn}{space}  {}", prediction.probability * 100.0, prediction.label))?;
    }
    Ok(())
}
