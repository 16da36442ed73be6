//! `eval`, `embed` and `similar` over folders: sums, order, broken pictures, resuming after Ctrl-C and after kill -9.
//!
//! On the CPU, so that they need no GPU; the network is the built-in one.
#![cfg(feature = "builtin-model")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use safetensors::SafeTensors;
use serde_json::Value;
use std::fs;
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
        let begun = Instant::now();
        while there().and_then(|path| fs::metadata(path).ok()).map_or(0, |m| m.len()) < bytes {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing is written");
            std::thread::sleep(Duration::from_millis(2));
        }
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
        let mut child = folder.start(&arguments, there, before + 400 * round);
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
    let child = folder.start(&["embed", "data", "-o", "x.safetensors", "--batch", "1"], &|| Some(record.clone()), 400);
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
    let mut child = folder.start(&["embed", "data", "-o", "x.safetensors", "--batch", "1"], &|| Some(record.clone()), 400);
    child.kill().unwrap();
    child.wait().unwrap();
    let other = folder.run(&["embed", "data", "-o", "x.safetensors", "--resume", "--normalize"]);
    assert_eq!(other.status.code(), Some(2));
    assert!(text(&other.stderr).contains("is of another run"), "{}", text(&other.stderr));
    let other = folder.run(&["embed", "data/dog", "-o", "x.safetensors", "--resume"]);
    assert!(text(&other.stderr).contains("give the same paths"), "{}", text(&other.stderr));
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
