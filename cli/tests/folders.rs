//! `eval`, `embed` and `similar` over folders: sums, order, broken pictures, resuming after Ctrl-C and after kill -9.
//!
//! On the CPU, so that they need no GPU; the network is the built-in one.
#![cfg(feature = "builtin-model")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use safetensors::SafeTensors;
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Pictures of one colour each in a folder of class folders, that is gone at the end.
struct Folder(PathBuf);

const CLASSES: [&str; 3] = ["cat", "dog", "ship"];

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mobilenet-folders-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
    /// `count` pictures under `data/`, the classes in turn; every `broken`th is no picture.
    fn pictures(&self, count: usize, broken: usize) -> &Self {
        CLASSES.iter().for_each(|class| fs::create_dir_all(self.path("data").join(class)).unwrap());
        for i in 0..count {
            let path = self.path("data").join(CLASSES[i % 3]).join(format!("{i:05}.png"));
            let colour = image::Rgb([(i * 37 % 256) as u8, (i * 101 % 256) as u8, (i * 53 % 256) as u8]);
            let picture = image::RgbImage::from_fn(24, 24, |x, y| {
                if (x / 6 + y / 6) % 2 == 0 { colour } else { image::Rgb([x as u8 * 10, 0, y as u8 * 10]) }
            });
            picture.save(&path).unwrap();
            if broken > 0 && i % broken == broken - 1 {
                let whole = fs::read(&path).unwrap();
                fs::write(&path, &whole[..whole.len() / 2]).unwrap();
            }
        }
        self
    }
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mobilenet"));
        command.args(arguments).args(["--cpu", "--model", "builtin"]).current_dir(&self.0);
        command.env("MOBILENET_CACHE_DIR", self.path("cache")).env("MOBILENET_CONFIG_DIR", self.path("config"));
        command
    }
    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&output.stderr)))
    }
    /// Starts a command and waits until `there` is as long as `bytes`.
    fn start(&self, arguments: &[&str], there: &dyn Fn() -> Option<PathBuf>, bytes: u64) -> Child {
        let child = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for(there, bytes);
        child
    }
    fn record(&self) -> Option<PathBuf> {
        Some(fs::read_dir(self.path("cache/eval")).ok()?.next()?.ok()?.path())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Waits until `there` is as long as `bytes`.
fn wait_for(there: &dyn Fn() -> Option<PathBuf>, bytes: u64) {
    let begun = Instant::now();
    while there().and_then(|path| fs::metadata(path).ok()).map_or(0, |m| m.len()) < bytes {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing is written");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Rows and paths of a file of embeddings.
fn embeddings(path: &Path) -> (Vec<Vec<f32>>, Vec<String>) {
    let bytes = fs::read(path).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let paths = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["paths"]).unwrap();
    let tensor = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = tensor.tensor("embeddings").unwrap();
    let values: Vec<f32> = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let rows: Vec<_> = values.chunks_exact(tensor.shape()[1]).map(<[f32]>::to_vec).collect();
    assert_eq!(rows.len(), tensor.shape()[0]);
    (rows, paths)
}

/// What does not depend on the time.
fn sums(mut json: Value) -> Value {
    for field in ["images_per_s", "seconds"] {
        json.as_object_mut().unwrap().remove(field);
    }
    json
}

#[test]
fn sums_of_an_evaluation_are_those_of_its_pictures() {
    let folder = Folder::new("sums");
    folder.pictures(30, 10);
    let eval = folder.json(&["eval", "data", "--json"]);
    assert_eq!((eval["n"].as_u64(), eval["errors"].as_u64(), eval["complete"].as_bool()), (Some(27), Some(3), Some(true)));
    // The same by `classify`, counted here.
    let output = folder.run(&["classify", "data", "--json", "--top", "5"]);
    let (mut top1, mut top5, mut n) = (0.0, 0.0, 0.0);
    for line in text(&output.stdout).lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let Some(predictions) = line["predictions"].as_array() else { continue };
        let right = Path::new(line["path"].as_str().unwrap()).parent().unwrap().file_name().unwrap().to_str().unwrap();
        let place = predictions.iter().position(|p| p["label"] == right);
        n += 1.0;
        top1 += f64::from(place == Some(0));
        top5 += f64::from(place.is_some());
    }
    for (name, right) in [("top1", top1), ("top5", top5)] {
        // A share read from JSON may be off in its last digit.
        assert!((eval[name].as_f64().unwrap() - right / n).abs() < 1e-12, "{name}: {} where {right} of {n} are right", eval[name]);
    }
    let classes = eval["classes"].as_array().unwrap();
    assert_eq!(classes.iter().map(|c| c["name"].as_str().unwrap()).collect::<Vec<_>>(), CLASSES);
    assert_eq!(classes.iter().map(|c| c["n"].as_u64().unwrap()).sum::<u64>(), 27);
    assert!(folder.record().is_none(), "a run that is done leaves no record");

    let table = folder.run(&["eval", "data"]);
    assert_eq!(table.status.code(), Some(1), "some pictures could not be read");
    assert_eq!(text(&table.stderr).lines().filter(|l| l.starts_with("error: ")).count(), 3);
    assert!(text(&table.stdout).contains("top-1") && text(&table.stdout).contains("most mixed up"));
}

#[test]
fn a_csv_and_numbers_mean_the_same_as_folders() {
    let folder = Folder::new("csv");
    folder.pictures(12, 0);
    let by_folder = sums(folder.json(&["eval", "data", "--json"]));
    let mut csv = "path,label\n".to_string();
    for (class, number) in CLASSES.iter().zip([3, 5, 8]) {
        for entry in fs::read_dir(folder.path("data").join(class)).unwrap() {
            csv += &format!("\"{}\",{number}\n", entry.unwrap().path().strip_prefix(&folder.0).unwrap().display());
        }
    }
    fs::write(folder.path("list.csv"), csv).unwrap();
    let by_csv = sums(folder.json(&["eval", "list.csv", "--json"]));
    for field in ["top1", "top5", "n", "classes"] {
        assert_eq!(by_folder[field], by_csv[field], "{field}");
    }
    fs::write(folder.path("list.csv"), "data/cat/00000.png,unicorn\n").unwrap();
    let output = folder.run(&["eval", "list.csv"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("line 1: `unicorn` is no class of the model"), "{}", text(&output.stderr));
}

#[test]
fn a_report_needs_nothing_else() {
    let folder = Folder::new("report");
    folder.pictures(12, 0);
    let output = folder.run(&["eval", "data", "--report", "report.html"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let page = fs::read_to_string(folder.path("report.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("data:image/jpeg;base64,") && page.contains("Confusion matrix"));
    for outside in ["http://", "https://", "<script", "<link"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn rows_are_in_the_order_of_the_pictures() {
    let folder = Folder::new("embed");
    folder.pictures(20, 7);
    let output = folder.run(&["embed", "data", "-o", "x.safetensors", "--batch", "3"]);
    assert_eq!(output.status.code(), Some(1));
    let (rows, paths) = embeddings(&folder.path("x.safetensors"));
    assert_eq!(rows.len(), 18);
    let mut sorted = paths.clone();
    sorted.sort();
    assert_eq!(paths, sorted);
    for (row, path) in rows.iter().zip(&paths).step_by(5) {
        let alone = folder.run(&["embed", path, "-o", "one.safetensors"]);
        assert!(alone.status.success());
        let (one, _) = embeddings(&folder.path("one.safetensors"));
        assert!(one[0].iter().zip(row).all(|(a, b)| (a - b).abs() < 1e-4), "{path}");
    }

    folder.run(&["embed", "data", "-o", "n.safetensors", "--normalize"]);
    let (unit, _) = embeddings(&folder.path("n.safetensors"));
    assert!(unit.iter().all(|row| (row.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-4));
    folder.run(&["embed", "data", "-o", "x.npy"]);
    let list: Vec<String> = serde_json::from_str(&fs::read_to_string(folder.path("x.npy.paths.json")).unwrap()).unwrap();
    assert_eq!(list, paths);
    assert!(!folder.path("x.safetensors.partial").exists() && !folder.path("x.safetensors.partial.jsonl").exists());

    for index in ["x.safetensors", "x.npy"] {
        let found = folder.json(&["similar", &paths[4], "--index", index, "--json", "--top", "3"]);
        assert_eq!(found[0]["path"], paths[4].as_str());
        assert!(found[0]["cosine"].as_f64().unwrap() > 0.9999);
        assert_eq!(found.as_array().unwrap().len(), 3);
    }
}

/// Kills a command again and again while it works, each time going on, until it comes to its end.
fn kill_until_done(folder: &Folder, arguments: &[&str], there: &dyn Fn() -> Option<PathBuf>) -> Output {
    let mut arguments = arguments.to_vec();
    for round in 1..=3 {
        let before = there().and_then(|path| fs::metadata(path).ok()).map_or(0, |m| m.len());
        let mut child = folder.start(&arguments, there, before + 600 + 400 * round);
        child.kill().unwrap();
        child.wait().unwrap();
        arguments.retain(|a| *a != "--resume");
        arguments.push("--resume");
    }
    folder.run(&arguments)
}

#[test]
fn a_killed_embed_loses_and_doubles_nothing() {
    let folder = Folder::new("kill-embed");
    folder.pictures(150, 50);
    folder.run(&["embed", "data", "-o", "whole.safetensors", "--batch", "2"]);
    let record = folder.path("x.safetensors.partial.jsonl");
    let output = kill_until_done(&folder, &["embed", "data", "-o", "x.safetensors", "--batch", "2"], &|| Some(record.clone()));
    assert!(text(&output.stderr).contains("resuming: "), "{}", text(&output.stderr));
    assert_eq!(embeddings(&folder.path("x.safetensors")), embeddings(&folder.path("whole.safetensors")));
    assert!(!record.exists());
}

#[test]
fn a_killed_eval_loses_and_doubles_nothing() {
    let folder = Folder::new("kill-eval");
    folder.pictures(150, 50);
    let whole = sums(folder.json(&["eval", "data", "--json"]));
    let output = kill_until_done(&folder, &["eval", "data", "--json", "--report", "r.html", "--batch", "2"], &|| folder.record());
    assert!(text(&output.stderr).contains("resuming: "), "{}", text(&output.stderr));
    assert_eq!(sums(serde_json::from_slice(&output.stdout).unwrap()), whole);
    assert!(folder.path("r.html").exists() && folder.record().is_none());
}

#[cfg(unix)]
#[test]
fn ctrl_c_writes_what_is_done_and_says_how_to_go_on() {
    let folder = Folder::new("ctrl-c");
    folder.pictures(150, 0);
    folder.run(&["embed", "data", "-o", "whole.safetensors"]);
    let record = folder.path("x.safetensors.partial.jsonl");
    let child = folder.start(&["embed", "data", "-o", "x.safetensors", "--batch", "1"], &|| Some(record.clone()), 1500);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("go on with the same command and --resume"), "{}", text(&output.stderr));
    let (whole, whole_paths) = embeddings(&folder.path("whole.safetensors"));
    let (part, paths) = embeddings(&folder.path("x.safetensors"));
    assert!(!part.is_empty() && part.len() < whole.len());
    assert_eq!((&whole[..part.len()], &whole_paths[..paths.len()]), (&part[..], &paths[..]));
    let output = folder.run(&["embed", "data", "-o", "x.safetensors", "--batch", "1", "--resume"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(embeddings(&folder.path("x.safetensors")), (whole, whole_paths));
}

#[test]
fn another_run_is_not_gone_on_with() {
    let folder = Folder::new("another");
    folder.pictures(150, 0);
    let record = folder.path("x.safetensors.partial.jsonl");
    let mut child = folder.start(&["embed", "data", "-o", "x.safetensors", "--batch", "1"], &|| Some(record.clone()), 1500);
    child.kill().unwrap();
    child.wait().unwrap();
    let other = folder.run(&["embed", "data", "-o", "x.safetensors", "--resume", "--normalize"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(text(&other.stderr).contains("is of another run"), "{}", text(&other.stderr));
    for (option, says) in
        [(&["--squash"][..], "resize: then"), (&["--mean", "0.25"], "mean: then"), (&["--padding", "same"], "padding: then")]
    {
        let other = folder.run(&[&["embed", "data", "-o", "x.safetensors", "--resume"], option].concat());
        assert_eq!(other.status.code(), Some(2));
        assert!(text(&other.stderr).contains(says), "{}", text(&other.stderr));
    }
    let other = folder.run(&["embed", "data/dog", "-o", "x.safetensors", "--resume"]);
    assert!(text(&other.stderr).contains("give the same paths"), "{}", text(&other.stderr));
}

/// The built-in model with one weight changed, under a name of its own.
fn another_model(folder: &Folder, name: &str) -> PathBuf {
    let mut bytes = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("builtin/mobilenet_v2_cifar10.safetensors")).unwrap();
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    fs::write(folder.path(name), bytes).unwrap();
    folder.path(name)
}

#[test]
fn a_model_is_told_by_its_weights() {
    let folder = Folder::new("weights");
    folder.pictures(60, 0);
    let builtin = Path::new(env!("CARGO_MANIFEST_DIR")).join("builtin/mobilenet_v2_cifar10.safetensors");
    fs::copy(builtin, folder.path("model.safetensors")).unwrap();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mobilenet"));
        command.args(arguments).args(["--cpu", "--model", "model.safetensors"]).current_dir(&folder.0);
        command
    };
    let record = folder.path("x.npy.partial.jsonl");
    let mut child = command(&["embed", "data", "-o", "x.npy", "--batch", "1"]).stderr(Stdio::null()).spawn().unwrap();
    wait_for(&|| Some(record.clone()), 800);
    child.kill().unwrap();
    child.wait().unwrap();
    let whole = command(&["embed", "data", "-o", "whole.npy"]).output().unwrap();
    assert!(whole.status.success(), "{}", text(&whole.stderr));
    let about: Value = serde_json::from_slice(&fs::read(folder.path("whole.npy.about.json")).unwrap()).unwrap();
    assert_eq!((about["model"].as_str(), about["normalized"].as_bool()), (Some("model.safetensors"), Some(false)));
    let similar = ["similar", "data/cat/00000.png", "--index", "whole.npy"];
    assert_eq!(text(&command(&similar).output().unwrap().stderr), "", "the same model needs no note");
    let squashed = command(&[&similar[..], &["--squash"]].concat()).output().unwrap();
    assert!(text(&squashed.stderr).contains("made with the preprocessing"), "{}", text(&squashed.stderr));

    another_model(&folder, "model.safetensors");
    let other = command(&["embed", "data", "-o", "x.npy", "--batch", "1", "--resume"]).output().unwrap();
    assert_eq!(other.status.code(), Some(2));
    assert!(text(&other.stderr).contains("weights: then"), "{}", text(&other.stderr));
    let other = command(&similar).output().unwrap();
    assert!(text(&other.stderr).contains("made with model.safetensors (weights"), "{}", text(&other.stderr));
}

/// Two evaluations of one folder, each killed, by models and options of their own: each goes on with its own record.
#[test]
fn evaluations_of_one_folder_do_not_disturb_each_other() {
    let folder = Folder::new("two-evals");
    folder.pictures(60, 0);
    let records = || fs::read_dir(folder.path("cache/eval")).into_iter().flatten().map(|e| e.unwrap().path()).collect::<Vec<_>>();
    let runs: [&[&str]; 2] = [&["eval", "data", "--json", "--batch", "1"], &["eval", "data", "--json", "--batch", "1", "--squash"]];
    let whole = runs.map(|run| sums(folder.json(run)));
    assert_eq!(records(), Vec::<PathBuf>::new());
    let mut children = Vec::new();
    for run in runs {
        let before = records();
        children.push(folder.start(run, &|| records().into_iter().find(|path| !before.contains(path)), 1500));
    }
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(records().len(), 2);
    let other = folder.run(&["eval", "data", "--resume", "--mean", "0.25"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(text(&other.stderr).contains("is of another run (mean: then"), "{}", text(&other.stderr));
    for (run, whole) in runs.iter().zip(whole) {
        let output = folder.run(&[run, &["--resume"][..]].concat());
        let err = text(&output.stderr);
        assert!(err.contains("resuming: ") && !err.contains("resuming: 0 of"), "{err}");
        assert_eq!(sums(serde_json::from_slice(&output.stdout).unwrap()), whole);
    }
    assert_eq!(records(), Vec::<PathBuf>::new());
    // With nothing to go on with, that is said.
    assert!(text(&folder.run(&["eval", "data", "--resume"]).stderr).contains("begins anew"));
}

#[test]
fn hidden_folders_are_left_out_and_empty_classes_counted() {
    let folder = Folder::new("hidden");
    folder.pictures(9, 0);
    let whole = sums(folder.json(&["eval", "data", "--json"]));
    for name in ["data/.ipynb_checkpoints", "data/cat/.ipynb_checkpoints", "data/frog", "data/notes"] {
        fs::create_dir_all(folder.path(name)).unwrap();
    }
    fs::copy(folder.path("data/cat/00000.png"), folder.path("data/cat/.ipynb_checkpoints/00000-checkpoint.png")).unwrap();
    fs::write(folder.path("data/cat/._00000.png"), b"what macOS leaves").unwrap();
    fs::write(folder.path("data/notes/read.me"), b"no class, and no pictures").unwrap();
    let output = folder.run(&["eval", "data", "--json"]);
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert_eq!(err.lines().filter(|l| l.starts_with("note: ") && l.contains("holds no pictures")).count(), 2, "{err}");
    let found = sums(serde_json::from_slice(&output.stdout).unwrap());
    for field in ["top1", "top5", "n", "errors"] {
        assert_eq!(found[field], whole[field], "{field}");
    }
    let frog = found["classes"].as_array().unwrap().iter().find(|c| c["name"] == "frog").unwrap();
    assert_eq!((frog["n"].as_u64(), frog["top1"].is_null()), (Some(0), true));
    assert!(text(&folder.run(&["eval", "data", "--report", "r.html"]).stdout).contains("frog"));
    assert!(!fs::read_to_string(folder.path("r.html")).unwrap().contains("NaN"));
}

#[cfg(unix)]
#[test]
fn links_to_folders_are_followed_but_not_in_circles() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new("links");
    folder.pictures(6, 0);
    fs::create_dir_all(folder.path("elsewhere/deep")).unwrap();
    fs::rename(folder.path("data/ship"), folder.path("elsewhere/ship")).unwrap();
    symlink(folder.path("elsewhere/ship"), folder.path("data/ship")).unwrap();
    fs::copy(folder.path("data/cat/00000.png"), folder.path("elsewhere/deep/more.png")).unwrap();
    symlink("../../elsewhere/deep", folder.path("data/cat/more")).unwrap();
    symlink("..", folder.path("data/cat/up")).unwrap();
    symlink("nowhere", folder.path("data/dog/broken")).unwrap();
    let paths = |root: &str| -> Vec<String> {
        let output = folder.run(&["classify", root, "--json", "--top", "1"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let lines = text(&output.stdout);
        lines.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["path"].as_str().unwrap().to_string()).collect()
    };
    let found = paths("data");
    let expected = ["cat/00000", "cat/00003", "cat/more/more", "dog/00001", "dog/00004", "ship/00002", "ship/00005"];
    assert_eq!(found, expected.map(|name| format!("data/{name}.png")));
    assert_eq!(folder.json(&["eval", "data", "--json"])["n"], 7);
    // A picture that is a link to nowhere is told as one that is not there.
    symlink("nowhere.png", folder.path("data/dog/gone.png")).unwrap();
    let output = folder.run(&["classify", "data", "--json", "--top", "1"]);
    assert_eq!((output.status.code(), text(&output.stdout).lines().count()), (Some(1), 8));
    assert!(
        text(&output.stdout).contains("data/dog/gone.png") && text(&output.stdout).contains("cannot be read"),
        "{}",
        text(&output.stdout)
    );
}

/// Lines of a file of JSON but for the times.
fn classified(path: &Path) -> Vec<Value> {
    let lines = fs::read_to_string(path).unwrap();
    assert!(lines.ends_with('\n'));
    let without_times = |line: &str| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        ["ms", "batch"].iter().for_each(|field| drop(value.as_object_mut().unwrap().remove(*field)));
        value
    };
    lines.lines().map(without_times).collect()
}

#[test]
fn a_killed_classify_into_a_file_loses_and_doubles_nothing() {
    let folder = Folder::new("kill-classify");
    folder.pictures(60, 20);
    let whole = folder.run(&["classify", "data", "-o", "whole.jsonl", "--batch", "2"]);
    assert_eq!((whole.status.code(), text(&whole.stdout)), (Some(1), String::new()), "three are broken");
    fs::write(folder.path("x.jsonl"), "what an earlier run wrote\n").unwrap();
    let record = folder.path("x.jsonl.partial.jsonl");
    let arguments = ["classify", "data", "-o", "x.jsonl", "--batch", "2"];
    let mut child = folder.start(&arguments, &|| Some(record.clone()), 8000);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(fs::read_to_string(folder.path("x.jsonl")).unwrap(), "what an earlier run wrote\n");
    let other = folder.run(&[&arguments[..], &["--resume", "--squash"]].concat());
    assert!(other.status.code() == Some(2) && text(&other.stderr).contains("resize: then"), "{}", text(&other.stderr));
    let output = kill_until_done(&folder, &["classify", "data", "-o", "x.jsonl", "--batch", "2", "--resume"], &|| Some(record.clone()));
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains("resuming: "), "{}", text(&output.stderr));
    assert_eq!(classified(&folder.path("x.jsonl")), classified(&folder.path("whole.jsonl")));
    assert_eq!(classified(&folder.path("x.jsonl")).len(), 60);
    assert!(!record.exists());
    let needs = folder.run(&["classify", "data", "--resume"]);
    assert!(needs.status.code() == Some(2) && text(&needs.stderr).contains("--output"), "{}", text(&needs.stderr));
}

/// A disk that was full left fewer rows than are on record, or half a line of the record: what is missing is done again.
#[test]
fn embed_goes_on_after_a_full_disk_and_a_cut_record() {
    let folder = Folder::new("full-disk");
    folder.pictures(60, 20);
    folder.run(&["embed", "data", "-o", "whole.safetensors"]);
    let whole = embeddings(&folder.path("whole.safetensors"));
    let width = whole.0[0].len() as u64 * 4;
    let (record, rows) = (folder.path("x.safetensors.partial.jsonl"), folder.path("x.safetensors.partial"));
    let arguments = ["embed", "data", "-o", "x.safetensors", "--batch", "1"];
    let truncate = |path: &Path, length: u64| File::options().write(true).open(path).unwrap().set_len(length).unwrap();
    let (a_row_and_a_half, half_a_line) = (width + width / 2, 20);
    for (what, bytes) in [(&rows, a_row_and_a_half), (&record, half_a_line)] {
        let mut child = folder.start(&arguments, &|| Some(record.clone()), 1500);
        child.kill().unwrap();
        child.wait().unwrap();
        truncate(what, fs::metadata(what).unwrap().len() - bytes);
        let output = folder.run(&[&arguments[..], &["--resume"]].concat());
        let err = text(&output.stderr);
        assert!(err.contains("resuming: ") && !err.contains("resuming: 0 of"), "{err}");
        assert_eq!(embeddings(&folder.path("x.safetensors")), whole);
        assert!(!record.exists() && !rows.exists());
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_embed_keeps_the_index_that_was_there() {
    let folder = Folder::new("keep-index");
    folder.pictures(80, 0);
    folder.run(&["embed", "data/cat", "-o", "x.safetensors"]);
    let before = fs::read(folder.path("x.safetensors")).unwrap();
    let record = folder.path("x.safetensors.partial.jsonl");
    let child = folder.start(&["embed", "data", "-o", "x.safetensors", "--batch", "1"], &|| Some(record.clone()), 1500);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("as it was"), "{}", text(&output.stderr));
    assert!(fs::read(folder.path("x.safetensors")).unwrap() == before);
    let output = folder.run(&["embed", "data", "-o", "x.safetensors", "--batch", "1", "--resume"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(embeddings(&folder.path("x.safetensors")).0.len(), 80);
}

/// A batch is closed at 64 MiB of pixels: of pictures of 24 MiB, three go at a time, whatever `--batch` allows.
#[test]
fn batches_are_bounded_in_bytes() {
    let folder = Folder::new("large");
    fs::create_dir_all(folder.path("data")).unwrap();
    let large = image::GrayImage::from_pixel(3072, 2048, image::Luma([90]));
    large.save(folder.path("data/0.png")).unwrap();
    for i in 1..5 {
        fs::copy(folder.path("data/0.png"), folder.path(&format!("data/{i}.png"))).unwrap();
    }
    let output = folder.run(&["classify", "data", "--json", "--batch", "16"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let batches: Vec<u64> =
        text(&output.stdout).lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["batch"].as_u64().unwrap()).collect();
    assert_eq!(batches, [3, 3, 3, 2, 2]);
}

/// Pixels of many pictures are not in memory at once; `MOBILENET_TEST_PICTURES=10000` for as many.
#[cfg(target_os = "linux")]
#[test]
fn counts_add_up_and_memory_is_bounded() {
    let folder = Folder::new("many");
    let count: u64 = std::env::var("MOBILENET_TEST_PICTURES").map_or(300, |n| n.parse().unwrap());
    folder.pictures(count as usize, 100);
    let mut child = folder.command(&["eval", "data", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let kib = status.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(20));
    }
    let eval: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!((eval["n"].as_u64(), eval["errors"].as_u64()), (Some(count - count / 100), Some(count / 100)));
    assert!(peak < 500 << 10, "{} MiB", peak >> 10);
}

/// On CIFAR-10's test pictures the GPU and the CPU say the same (`MOBILENET_TEST_ASSETS`; a part of them, for time).
#[test]
fn the_gpu_and_the_cpu_agree_on_cifar10() {
    let Some(assets) = std::env::var_os("MOBILENET_TEST_ASSETS") else { return };
    let archive = Path::new(&assets).join("data/cifar10/test.zip");
    let folder = Folder::new("cifar10");
    let mut zip = zip::ZipArchive::new(fs::File::open(archive).unwrap()).unwrap();
    for i in (0..zip.len()).step_by(10) {
        let mut file = zip.by_index(i).unwrap();
        let path = folder.path(&file.name().unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::io::copy(&mut file, &mut fs::File::create(path).unwrap()).unwrap();
    }
    let eval = |device: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mobilenet"));
        command.args(["eval", "test", "--json", "--model", "builtin"]).args(device);
        let output = command.current_dir(&folder.0).env("MOBILENET_CACHE_DIR", folder.path("cache")).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&output.stderr)))
    };
    let (gpu, cpu) = (eval(&[]), eval(&["--cpu"]));
    for field in ["top1", "top5", "n", "classes", "confusions"] {
        assert_eq!(gpu[field], cpu[field], "{field}");
    }
    assert!(gpu["n"].as_u64().unwrap() >= 400 && gpu["top1"].as_f64().unwrap() > 0.8, "{}", gpu["top1"]);
}
