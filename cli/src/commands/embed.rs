//! `mobilenet embed`: pictures as vectors.

use crate::backend;
use crate::failure::{EXIT_CODES, Failure, Outcome, Status, tell};
use crate::folders::identity;
use crate::folders::index::{self, Rows, beside};
use crate::folders::journal::{Journal, same_pictures, tell_resuming};
use crate::interrupt;
use crate::model;
use crate::options::{DeviceOptions, ModelOptions};
use crate::output::count;
use crate::pictures::{self, Place};
use crate::pipeline::{self, Answer};
use mobilenet_wgpu::Model;
use mobilenet_wgpu::classifier::normalized;
use mobilenet_wgpu::engine::SessionOptions;
use mobilenet_wgpu::picture::DecodeLimits;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  mobilenet embed photos/ -o photos.safetensors
  mobilenet embed photos/ more/*.png --normalize -o photos.npy      the paths go to photos.npy.paths.json, model and options to
                                                                    photos.npy.about.json
  mobilenet embed photos/ -o photos.safetensors --resume            go on where Ctrl-C, or worse, ended it
  mobilenet similar photo.jpg --index photos.safetensors

A row is the globally pooled output of the last convolution, f32. Rows are in the order of the pictures; one that cannot be
read has no row and costs an error line. In Python:
  f = safetensors.safe_open('photos.safetensors', 'np'); rows = f.get_tensor('embeddings'); paths = json.loads(f.metadata()['paths'])";

/// Pooled features of pictures, as .safetensors or .npy
#[derive(clap::Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Arguments {
    /// Pictures (JPEG, PNG, WebP, BMP, GIF) and folders with all that is below them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The file to write, .safetensors or .npy
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    model: ModelOptions,
    /// Scale each row to length 1
    #[arg(long)]
    normalize: bool,
    /// Go on with the run that was interrupted or killed
    #[arg(long)]
    resume: bool,
    /// Pictures at a time [default: what is good for the device]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    #[command(flatten)]
    device: DeviceOptions,
}

/// What became of a picture; a line of the record.
#[derive(Serialize, Deserialize)]
struct Entry {
    path: String,
    row: bool,
}

/// Embeds the pictures.
pub fn run(arguments: &Arguments) -> Outcome {
    if !index::is_known(&arguments.output) {
        return Err(Failure::new(format!("--output {}: expected a name that ends in .safetensors or .npy", arguments.output.display())));
    }
    interrupt::install();
    let places = pictures::list(&arguments.paths)?;
    let (model, source) = model::load(&arguments.model)?;
    let backend = backend::open(&arguments.device)?;
    let options = SessionOptions {
        batch: arguments.batch.unwrap_or_else(|| backend.batch_for(places.len(), model.input_size())),
        outputs: vec!["embedding".into()],
        in_flight: pipeline::IN_FLIGHT,
        ..SessionOptions::default()
    };
    let mut classifier = backend.classifier(&model, &arguments.device, options)?;
    let mut about = identity::of(&source.to_string(), &model, &classifier, &backend)?;
    about["normalized"] = arguments.normalize.into();
    let mut run = Run::open(arguments, &about, channels(&model)?, &places)?;
    let rest = places[run.entries.len()..].to_vec();
    pipeline::run(rest, &mut classifier, DecodeLimits::default(), |place, answer| run.picture(place, answer))?;
    run.finish(&arguments.output, &about, places.len())
}

/// Channels of the model's embedding.
pub fn channels(model: &Model) -> Outcome<usize> {
    let graph = model.graph(None)?;
    let node = graph.find("embedding").ok_or_else(|| Failure::new("the model has no pooled features\nnext: another --model"))?;
    Ok(graph.node(node).shape.elements() as usize)
}

struct Run {
    normalize: bool,
    resumed: bool,
    rows: Rows,
    journal: Journal,
    entries: Vec<Entry>,
}

impl Run {
    fn open(arguments: &Arguments, about: &Value, channels: usize, places: &[Place]) -> Outcome<Self> {
        let run = json!({"format": 2, "about": about, "channels": channels});
        let record = beside(&arguments.output, ".partial.jsonl");
        let (mut journal, mut entries) = Journal::open::<Entry>(&record, &run, arguments.resume)?;
        // Where a disk was full, the record may be ahead of the rows: what has no row is done again.
        let left = Rows::left(&arguments.output, channels);
        let rows = entries.iter().scan(0, |rows, entry| {
            *rows += usize::from(entry.row);
            Some(*rows)
        });
        let whole = rows.take_while(|rows| *rows <= left).count();
        if whole < entries.len() {
            entries.truncate(whole);
            journal.rewrite(&run, &entries)?;
        }
        same_pictures(entries.iter().map(|entry| entry.path.as_str()), places)?;
        if arguments.resume {
            tell_resuming(entries.len(), places.len());
        }
        let rows = Rows::open(&arguments.output, channels, entries.iter().filter(|entry| entry.row).count())?;
        Ok(Self { normalize: arguments.normalize, resumed: arguments.resume, rows, journal, entries })
    }

    fn picture(&mut self, place: &Place, answer: Result<Answer<'_>, &str>) -> Outcome<()> {
        let mut last = false;
        let row = match answer {
            Ok(answer) => {
                last = answer.index + 1 == answer.batch;
                let values = answer.outputs.get("embedding").map(|t| t.picture(answer.index)).unwrap_or_default();
                if self.normalize {
                    self.rows.append(&normalized(values))?
                } else {
                    self.rows.append(values)?
                }
                true
            }
            Err(why) => {
                tell(&format!("error: {place}: {why}"));
                false
            }
        };
        let entry = Entry { path: place.to_string(), row };
        self.journal.append(&entry)?;
        self.entries.push(entry);
        if last { self.flush() } else { Ok(()) }
    }

    // Rows first: an entry on record has its row.
    fn flush(&mut self) -> Outcome<()> {
        self.rows.flush()?;
        self.journal.flush()
    }

    fn finish(mut self, output: &Path, about: &Value, total: usize) -> Outcome {
        self.flush()?;
        let paths: Vec<String> = self.entries.iter().filter(|entry| entry.row).map(|entry| entry.path.clone()).collect();
        let (done, failed) = (self.entries.len(), self.entries.len() - paths.len());
        let errors = if failed > 0 { format!(", {} could not be read", count(failed as u64)) } else { String::new() };
        let rows = count(paths.len() as u64);
        // What was there before a run that is not whole stays: it may be a whole one's.
        if done == total || self.resumed || !output.exists() {
            self.rows.write(output, &paths, about)?;
            tell(&format!("{}: {rows} rows{errors}", output.display()));
        } else {
            tell(&format!("{}: as it was; {rows} rows wait beside it{errors}", output.display()));
        }
        if done < total {
            tell(&format!(
                "interrupted: {} of {} pictures are done; go on with the same command and --resume",
                count(done as u64),
                count(total as u64)
            ));
            return Ok(Status::SomeFailed);
        }
        self.journal.finish();
        self.rows.finish();
        Ok(if failed > 0 { Status::SomeFailed } else { Status::Good })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_length_one() {
        assert_eq!(normalized(&[3.0, 4.0]), [0.6, 0.8]);
        assert_eq!(normalized(&[0.0, 0.0]), [0.0, 0.0]);
    }
}
