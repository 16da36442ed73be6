//! `mobilenet eval`: how often a model is right.

use crate::backend;
use crate::config;
use crate::failure::{EXIT_CODES, Failure, Outcome, Status, tell};
use crate::fingerprint::Fingerprint;
use crate::folders::identity;
use crate::folders::journal::{self, Journal};
use crate::folders::labelled::{self, Labelled};
use crate::folders::report::{self, Subject};
use crate::folders::tally::{Tally, Verdict};
use crate::interrupt;
use crate::model;
use crate::options::{DeviceOptions, ModelOptions};
use crate::output::{Output, Table, bar, count};
use crate::pictures::Place;
use crate::pipeline::{self, Answer};
use mobilenet_wgpu::engine::SessionOptions;
use mobilenet_wgpu::labels::Labels;
use mobilenet_wgpu::picture::DecodeLimits;
use mobilenet_wgpu::{Classifier, Prediction};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const EXAMPLES: &str = "\
Examples:
  mobilenet eval test/                                        a folder for each class: test/cat/1.jpg, test/dog/2.jpg, …
  mobilenet eval val.csv --model google/mobilenet_v2_1.0_224  lines of path,label
  mobilenet eval test/ --report report.html                   confusion matrix and the worst mistakes, as one HTML file
  mobilenet eval test/ --json | jq .top1
  mobilenet eval test/ --resume                               go on where Ctrl-C, or worse, ended it

Classes are named as the model names them (a synonym will do), by WordNet id (n02124075), or by their number in the data set,
which does not count a background class. Hidden files and folders are left out, links to folders followed; a class without
pictures is counted, with a note. With --json: top1 and top5 in 0..1, n, images_per_s, and classes.

A run keeps its record in the cache folder until it is done, one for each model and set of options: two of them over one folder do
not disturb each other, and --resume goes on with none but its own.";

/// Accuracy of a model on labelled pictures: top-1, top-5, by class, worst confusions
#[derive(clap::Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Arguments {
    /// Folder with a folder for each class, or a CSV of path,label
    data: PathBuf,
    #[command(flatten)]
    model: ModelOptions,
    /// Write an HTML report that needs no network
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Go on with the run that was interrupted or killed
    #[arg(long)]
    resume: bool,
    /// Pictures at a time [default: what is good for the device]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch: Option<u32>,
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceOptions,
}

/// Runs all pictures and reports.
pub fn run(arguments: &Arguments) -> Outcome {
    interrupt::install();
    let folder = arguments.report.as_deref().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(Failure::new(format!("--report: {} is no folder\nnext: make it first", folder.display())));
    }
    let (model, source) = model::load(&arguments.model)?;
    if model.recognition().classes.is_none() {
        return Err(Failure::new("the model has no classifier, only features\nnext: another --model"));
    }
    let data = labelled::list(&arguments.data, &model)?;
    let backend = backend::open(&arguments.device)?;
    let options = SessionOptions {
        batch: arguments.batch.unwrap_or_else(|| backend.batch_for(data.places.len(), model.input_size())),
        outputs: vec!["probabilities".into()],
        in_flight: pipeline::IN_FLIGHT,
        ..SessionOptions::default()
    };
    let mut classifier = backend.classifier(&model, &arguments.device, options)?;
    let name = source.to_string();
    let evaluation = Evaluation { data: &data, labels: model.labels() };
    let mut about = identity::of(&name, &model, &classifier, &backend)?;
    about["labels"] = identity::labels(&model).into();
    let (journal, done) = evaluation.journal(arguments, &about)?;
    let mut run = Run { evaluation, tally: Tally::new(), journal, done: done.len(), began: done.len(), time: Duration::ZERO };
    data.empty.iter().for_each(|class| run.tally.add_empty(*class));
    done.iter().zip(&data.classes).for_each(|(verdict, right)| run.tally.add(verdict, *right));
    run.through(&mut classifier)?;
    run.finish(arguments, &name, &classifier)
}

struct Evaluation<'a> {
    data: &'a Labelled,
    labels: &'a Labels,
}

struct Run<'a> {
    evaluation: Evaluation<'a>,
    tally: Tally,
    journal: Journal,
    /// Pictures that are done, and how many of them an earlier run did.
    done: usize,
    began: usize,
    time: Duration,
}

impl Evaluation<'_> {
    /// The record of this run, and what an earlier one left in it. Other models and options have records of their own.
    fn journal(&self, arguments: &Arguments, about: &Value) -> Outcome<(Journal, Vec<Verdict>)> {
        let data = std::path::absolute(&arguments.data).unwrap_or_else(|_| arguments.data.clone()).display().to_string();
        let mut list = Fingerprint::default();
        for (place, class) in self.data.places.iter().zip(&self.data.classes) {
            list.add(format!("{place} {class}\n").as_bytes());
        }
        let total = self.data.places.len();
        let run = json!({"format": 2, "data": data, "pictures": total, "list": list.to_string(), "about": about});
        let folder = config::cache_folder().unwrap_or_else(std::env::temp_dir).join("eval");
        let data = Fingerprint::of(data.as_bytes());
        let path = folder.join(format!("{data}-{}.jsonl", Fingerprint::of(about.to_string().as_bytes())));
        if arguments.resume
            && !path.exists()
            && let Some(other) = latest(&folder, &data.to_string())
        {
            return Err(journal::differs(&other, &run));
        }
        let (journal, done) = Journal::open::<Verdict>(&path, &run, arguments.resume)?;
        if arguments.resume {
            journal::tell_resuming(done.len(), total);
        }
        Ok((journal, done))
    }
}

/// The file in `folder` that was written last of those whose names begin with `start`.
fn latest(folder: &Path, start: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(start));
    ours.max_by_key(|entry| entry.metadata().and_then(|data| data.modified()).ok()).map(|entry| entry.path())
}

impl Run<'_> {
    fn through(&mut self, classifier: &mut Classifier) -> Outcome<()> {
        let data = self.evaluation.data;
        let rest = data.places[self.done.min(data.places.len())..].to_vec();
        let started = Instant::now();
        pipeline::run(rest, classifier, DecodeLimits::default(), |place, answer| self.picture(place, answer))?;
        self.journal.flush()?;
        self.time = started.elapsed();
        Ok(())
    }

    fn picture(&mut self, place: &Place, answer: Result<Answer<'_>, &str>) -> Outcome<()> {
        let mut last = false;
        let verdict = match answer {
            Ok(answer) => {
                last = answer.index + 1 == answer.batch;
                let probabilities = answer.outputs.get("probabilities").map(|t| t.picture(answer.index)).unwrap_or_default();
                let best = Prediction::best(probabilities, self.evaluation.labels, 5);
                let probability = best.first().map_or(0.0, |p| p.probability);
                Verdict { picture: self.done, best: best.iter().map(|p| p.index).collect(), probability, error: None }
            }
            Err(why) => {
                tell(&format!("error: {place}: {why}"));
                Verdict { picture: self.done, best: Vec::new(), probability: 0.0, error: Some(why.into()) }
            }
        };
        self.journal.append(&verdict)?;
        self.tally.add(&verdict, self.evaluation.data.classes[self.done]);
        self.done += 1;
        if last { self.journal.flush() } else { Ok(()) }
    }

    fn finish(mut self, arguments: &Arguments, model: &str, classifier: &Classifier) -> Outcome {
        let total = self.evaluation.data.places.len();
        let whole = self.done == total;
        let rate = (self.done - self.began) as f64 / self.time.as_secs_f64().max(1e-9);
        let device = classifier.backend();
        let mut out = Output::new();
        let summary = Summary { tally: &self.tally, labels: self.evaluation.labels, rate, whole, time: self.time };
        if arguments.json {
            out.json_pretty(&summary.json(model, &device, &arguments.data))?;
        } else {
            summary.show(&mut out, model, &device)?;
        }
        out.flush()?;
        if let Some(path) = &arguments.report {
            let data = arguments.data.display().to_string();
            let (labels, places) = (self.evaluation.labels, &self.evaluation.data.places[..]);
            let subject = Subject { model: model.into(), device: device.clone(), data, images_per_s: rate, labels, places };
            let page = report::html(&subject, &mut self.tally)?;
            super::convert::write_whole(path, page.as_bytes())?;
            tell(&format!("report: {}", path.display()));
        }
        if whole {
            self.journal.finish();
        } else {
            tell(&format!(
                "interrupted: {} of {} pictures are done; go on with the same command and --resume",
                count(self.done as u64),
                count(total as u64)
            ));
        }
        Ok(if whole && self.tally.errors == 0 { Status::Good } else { Status::SomeFailed })
    }
}

/// The sums as they are shown.
struct Summary<'a> {
    tally: &'a Tally,
    labels: &'a Labels,
    rate: f64,
    whole: bool,
    time: Duration,
}

impl Summary<'_> {
    fn json(&self, model: &str, device: &str, data: &Path) -> Value {
        let share = |n: u64, of: u64| (of > 0).then(|| n as f64 / of as f64);
        let class = |(index, sums): (&usize, &crate::folders::tally::Class)| {
            let (name, wnid) = self.labels.get(*index);
            json!({"index": index, "name": name, "wnid": wnid, "n": sums.pictures, "top1": share(sums.top1, sums.pictures), "top5": share(sums.top5, sums.pictures)})
        };
        let mix_up = |(right, taken_for, n): &(usize, usize, u64)| json!({"class": self.labels.get(*right).0, "taken_for": self.labels.get(*taken_for).0, "index": right, "taken_for_index": taken_for, "n": n});
        json!({
            "top1": self.tally.top1(),
            "top5": self.tally.top5(),
            "n": self.tally.pictures,
            "errors": self.tally.errors,
            "complete": self.whole,
            "images_per_s": self.rate,
            "seconds": self.time.as_secs_f64(),
            "model": model,
            "backend": device,
            "data": data,
            "classes": self.tally.classes().iter().map(class).collect::<Vec<_>>(),
            "confusions": self.tally.confusions(50).iter().map(mix_up).collect::<Vec<_>>(),
        })
    }

    fn show(&self, out: &mut Output, model: &str, device: &str) -> Outcome<()> {
        let tally = self.tally;
        let sums = format!("top-1 {:.2} %, top-5 {:.2} %", tally.top1() * 100.0, tally.top5() * 100.0);
        let errors = if tally.errors > 0 { format!(", {} could not be read", count(tally.errors)) } else { String::new() };
        out.line(format!("{}  of {} pictures{errors}", out.bold(sums), count(tally.pictures)))?;
        out.line(out.dim(format!("{model}, on {device}, {:.1} pictures/s", self.rate)))?;
        out.line("")?;
        self.classes().write(out)?;
        let confusions = tally.confusions(10);
        if confusions.is_empty() {
            return Ok(());
        }
        out.line("")?;
        let mut table = Table::new(&["most mixed up", "taken for", "pictures"], &[2]);
        for (right, taken_for, n) in confusions {
            table.row([self.name(right), self.name(taken_for), count(n)]);
        }
        table.write(out)
    }

    /// All classes if they are few, else the worst.
    fn classes(&self) -> Table {
        const MOST: usize = 40;
        const BAR: usize = 20;
        let share = |n: u64, of: u64| n as f32 / of.max(1) as f32;
        let mut classes: Vec<_> = self.tally.classes().iter().collect();
        let heading = if classes.len() > MOST {
            classes.retain(|(_, sums)| sums.pictures > 0);
            classes.sort_by(|a, b| share(a.1.top1, a.1.pictures).total_cmp(&share(b.1.top1, b.1.pictures)).then(a.0.cmp(b.0)));
            classes.truncate(MOST / 2);
            "worst classes"
        } else {
            "class"
        };
        let mut table = Table::new(&[heading, "pictures", "top-1", "top-5", ""], &[1, 2, 3]);
        for (class, sums) in classes {
            let (top1, top5) = (share(sums.top1, sums.pictures), share(sums.top5, sums.pictures));
            let percent = |share: f32| if sums.pictures > 0 { format!("{:.1} %", share * 100.0) } else { String::new() };
            table.row([self.name(*class), count(sums.pictures), percent(top1), percent(top5), bar(top1, BAR)]);
        }
        table
    }

    fn name(&self, class: usize) -> String {
        let label = self.labels.get(class).0;
        let first = label.split(',').next().unwrap_or(&label);
        first.chars().take(32).collect()
    }
}
