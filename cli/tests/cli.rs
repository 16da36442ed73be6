//! The tool as people and programs meet it: arguments in, standard output, standard error and exit code out.
//!
//! What needs full checkpoints and photos is skipped without `MOBILENET_TEST_ASSETS`; the rest runs on the built-in model.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tool;

use serde_json::Value;
use std::path::{Path, PathBuf};
use tool::{CAT, Folder, Ran, mobilenet, mobilenet_with, needs_gpu};

/// One JSON value a line.
fn lines(ran: &Ran) -> Vec<Value> {
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[test]
fn the_built_in_model_knows_a_cat() {
    let ran = mobilenet(["classify", "--json", CAT]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let line = &lines(&ran)[0];
    assert_eq!(line["path"], CAT);
    assert_eq!(line["predictions"][0]["label"], "cat");
    assert_eq!(line["predictions"].as_array().unwrap().len(), 5);
    assert!(line["ms"].as_f64().unwrap() > 0.0 && line["predictions"][0].get("wnid").is_none());
    assert!(ran.err.contains("built-in") && ran.err.contains("imagenet"), "says which model and how to get another: {}", ran.err);
    assert_eq!(ran.err.lines().filter(|l| l.contains("built-in")).count(), 1, "{}", ran.err);
    let chosen = mobilenet(["classify", "--json", "--model", "builtin", "--top", "2", CAT]);
    assert!(!chosen.err.contains("built-in"), "{}", chosen.err);
    assert_eq!(lines(&chosen)[0]["predictions"].as_array().unwrap().len(), 2);
}

#[cfg(not(feature = "view"))]
#[test]
fn without_its_window_the_tool_says_how_to_get_one() {
    for arguments in [&["view"][..], &["view", "photos/", "--every", "5"]] {
        let ran = mobilenet(arguments.iter().copied());
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(ran.err.contains(&format!("--features view -- {}", arguments.join(" "))) && ran.out.is_empty(), "{}", ran.err);
    }
    assert!(!mobilenet(["--help"]).out.contains("view"), "it is no command of this build");
}

#[test]
fn a_backend_that_cannot_be_used_is_told_from_one_without_a_driver() {
    for name in ["gl", "nothing"] {
        let ran = mobilenet(["adapters", "--backend", name]);
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(ran.err.contains(&format!("`{name}` is no backend")) && ran.err.contains("vulkan"), "{}", ran.err);
    }
    assert!(!mobilenet(["adapters", "--help"]).out.contains(" gl"));
}

/// Where the device keeps compiled pipelines, so does the tool; whatever stands in the file, the answer is the same.
#[test]
fn compiled_pipelines_are_kept_and_a_damaged_file_is_a_miss() {
    let folder = Folder::new();
    let kept = || std::fs::read_dir(folder.join("pipelines")).into_iter().flatten().map(|e| e.unwrap().path()).collect::<Vec<_>>();
    let answer = || {
        let ran = mobilenet_with(["classify", "--json", "--model", "builtin", CAT], &[("MOBILENET_CACHE_DIR", folder.path())], b"");
        assert_eq!(ran.code, 0, "{}", ran.err);
        lines(&ran)[0]["predictions"].clone()
    };
    let first = answer();
    let files = kept();
    let [file] = &files[..] else { return assert!(files.is_empty(), "{files:?}") };
    let whole = std::fs::read(file).unwrap();
    assert_eq!(answer(), first);
    for damaged in [b"not pipelines".to_vec(), whole[..whole.len() / 2].to_vec(), vec![]] {
        std::fs::write(file, damaged).unwrap();
        assert_eq!(answer(), first);
        assert_eq!(kept(), files);
        assert_eq!(std::fs::read(file).unwrap().len(), whole.len(), "made anew");
    }
}

#[test]
fn gpu_and_cpu_agree() {
    let [gpu, cpu] = [&["classify", "--json", CAT][..], &["classify", "--json", "--cpu", CAT]].map(|a| lines(&mobilenet(a))[0].clone());
    for (a, b) in gpu["predictions"].as_array().unwrap().iter().zip(cpu["predictions"].as_array().unwrap()) {
        assert_eq!(a["index"], b["index"]);
        let difference = a["probability"].as_f64().unwrap() - b["probability"].as_f64().unwrap();
        assert!(difference.abs() < 1e-4, "{a} {b}");
    }
}

#[test]
fn people_see_labels_adapter_and_time() {
    let ran = mobilenet(["classify", CAT]);
    for part in ["cat.png", "cat", " %", " ms", "32x32, on "] {
        assert!(ran.out.contains(part), "no `{part}` in:\n{}", ran.out);
    }
    assert!(!ran.out.contains('\u{1b}'), "no colours into a pipe");
}

#[test]
fn a_broken_picture_costs_its_own_line() {
    let folder = Folder::new();
    folder.copy(CAT, "a.png");
    folder.write("b.png", b"this is no picture");
    folder.copy(CAT, "c/1.png");
    folder.write("c/2.jpg", &std::fs::read(CAT).unwrap()[..2000]);
    folder.write("notes.txt", b"not a picture, and not taken for one");
    folder.copy(CAT, "z.png");
    for batch in ["1", "4"] {
        let ran = mobilenet(["classify", "--json", "--batch", batch, folder.path(), "missing.png"]);
        assert_eq!(ran.code, 1, "{}", ran.err);
        let lines = lines(&ran);
        let names: Vec<_> = lines.iter().map(|l| l["path"].as_str().unwrap().rsplit(['/', '\\']).next().unwrap().to_string()).collect();
        assert_eq!(names, ["a.png", "b.png", "1.png", "2.jpg", "z.png", "missing.png"]);
        let failed: Vec<_> = lines.iter().map(|l| l["error"].is_string()).collect();
        assert_eq!(failed, [false, true, false, true, false, true]);
        assert!(lines.iter().all(|l| l["error"].is_string() || l["predictions"][0]["label"] == "cat"));
    }
    let people = mobilenet(["classify", folder.path()]);
    assert_eq!(people.code, 1);
    assert!(people.err.contains("b.png") && !people.out.contains("b.png"), "errors are not results");
}

#[test]
fn standard_input_is_a_picture() {
    let picture = std::fs::read(CAT).unwrap();
    let ran = mobilenet_with(["classify", "--json", "-"], &[], &picture);
    assert_eq!((ran.code, lines(&ran)[0]["path"].as_str()), (0, Some("-")), "{}", ran.err);
    assert_eq!(mobilenet_with(["classify", "--json", "-"], &[], b"").code, 1, "an empty one is a broken one");
    assert_eq!(mobilenet(["classify", "-", "-"]).code, 2);
}

#[test]
fn a_closed_pipe_is_no_panic() {
    use std::io::Read;
    let places = vec![CAT; 64];
    let mut child =
        tool::command(["classify", "--json", "--batch", "1"]).args(places).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut some = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    let ran = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && !err.contains("panicked"), "{:?} {err}", ran.status);
}

#[test]
fn the_model_is_the_one_that_is_wished_for_first() {
    let folder = Folder::new();
    let builtin = Path::new(env!("CARGO_MANIFEST_DIR")).join("builtin/mobilenet_v2_cifar10.safetensors");
    let own = folder.copy(builtin.to_str().unwrap(), "own/model.safetensors");
    let own = own.parent().unwrap().to_str().unwrap();
    folder.write("config/config.json", serde_json::json!({"default_model": own}).to_string().as_bytes());
    let config = folder.join("config");
    let model = |arguments: &[&str], environment: &[(&str, &str)]| {
        let all = ["inspect", "--json"].iter().chain(arguments).copied().collect::<Vec<_>>();
        let ran = mobilenet_with(all, environment, b"");
        assert_eq!(ran.code, 0, "{}", ran.err);
        serde_json::from_str::<Value>(&ran.out).unwrap()["model"].as_str().unwrap().to_string()
    };
    let configured = [("MOBILENET_CONFIG_DIR", config.to_str().unwrap())];
    assert_eq!(model(&[], &[]), "builtin");
    assert_eq!(model(&[], &configured), own);
    assert_eq!(model(&["--model", "builtin"], &configured), "builtin");
    let both = [configured[0], ("MOBILENET_MODEL", "builtin")];
    assert_eq!(model(&[], &both), "builtin", "the variable comes before the configured default");
    std::fs::remove_dir_all(own).unwrap();
    let ran = mobilenet_with(["inspect"], &configured, b"");
    assert!(ran.code == 2 && ran.err.contains("--set-default builtin"), "a default that is gone: {}", ran.err);
}

/// `models` marks what `scripts/imagenet` made, and as the default where it is.
#[test]
fn models_knows_what_scripts_imagenet_made() {
    let folder = Folder::new();
    let row = || {
        let ran = mobilenet_with(["models", "--json"], &[("XDG_DATA_HOME", folder.path()), ("MOBILENET_CONFIG_DIR", folder.path())], b"");
        let rows: Vec<Value> = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {}", ran.err));
        let row = rows.into_iter().find(|r| r["name"].as_str().unwrap().contains("scripts/imagenet")).unwrap();
        (row["cached"].as_bool().unwrap(), row["default"].as_bool().unwrap())
    };
    assert_eq!(row(), (false, false));
    let made = folder.write("mobilenet/models/mobilenet_v2-imagenet.safetensors", b"weights");
    assert_eq!(row(), (true, false));
    let set = mobilenet_with(["models", "--set-default", made.to_str().unwrap()], &[("MOBILENET_CONFIG_DIR", folder.path())], b"");
    assert_eq!(set.code, 0, "{}", set.err);
    assert_eq!(row(), (true, true));
}

#[test]
fn bad_models_are_told_apart() {
    let folder = Folder::new();
    let builtin = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("builtin/mobilenet_v2_cifar10.safetensors")).unwrap();
    let cases: [(&str, PathBuf, &str); 6] = [
        ("missing", folder.join("none.safetensors"), "does not exist"),
        ("empty folder", folder.directory("empty"), "model.safetensors"),
        ("text", folder.write("text.safetensors", b"hello, I am a text file\n"), "text"),
        ("truncated", folder.write("cut.safetensors", &builtin[..builtin.len() / 2]), ""),
        ("header alone", folder.write("header.safetensors", &builtin[..100]), ""),
        ("nothing", folder.write("nothing.safetensors", b""), "empty"),
    ];
    for (what, path, says) in cases {
        for command in ["inspect", "classify"] {
            let mut arguments = vec![command, "--model", path.to_str().unwrap()];
            arguments.extend((command == "classify").then_some(CAT));
            let ran = mobilenet(arguments);
            assert_eq!(ran.code, 2, "{what}: {}", ran.err);
            assert!(ran.err.starts_with("error: ") && ran.err.contains(says), "{what}: {}", ran.err);
            assert!(ran.out.is_empty() && !ran.err.contains("panicked"), "{what}: {}", ran.err);
        }
    }
}

#[test]
fn what_cannot_be_measured_or_written_over_is_told() {
    if mobilenet(["plan", "--model", "builtin"]).code != 0 {
        return assert!(!needs_gpu()); // no adapter here
    }
    let folder = Folder::new();
    let diary = folder.write("diary.txt", b"dear diary");
    let diary = diary.to_str().unwrap();
    let cases: [(&[&str], &str); 6] = [
        (&["tune", "--model", "builtin", "--output", diary], "no tuning record"),
        (&["tune", "--model", "builtin", "--budget", "inf"], "such as 20s"),
        (&["bench", "--model", "builtin", "--budget", "1e30"], "such as 20s"),
        (&["bench", "--model", "builtin", "--runs", "2", "--compare", "default", "default"], "--runs 6"),
        (&["bench", "--model", "builtin", "--compare", "prefer=pointwise/nosuch", "default"], "pointwise/nosuch"),
        (&["plan", "--model", "builtin", "--without", "nosuch"], "nosuch"),
    ];
    for (arguments, says) in cases {
        let ran = mobilenet(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {} {}", ran.out, ran.err);
        assert!(ran.err.contains(says) && !ran.err.contains("panicked"), "{arguments:?}: {}", ran.err);
    }
    assert_eq!(std::fs::read(diary).unwrap(), b"dear diary");
    // A batch beyond everything is planned in parts that fit.
    let ran = mobilenet(["plan", "--model", "builtin", "--device", "phone", "--batch", "4294967295"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for arguments in [
        &["classify"][..],
        &["nonsense"],
        &["classify", "--size", "0", CAT],
        &["classify", "--top", "0", CAT],
        &["classify", "--mean", "123,117,104", CAT],
        &["classify", "--strides", "1,2", CAT],
        &["classify", "--labels", "none.txt", CAT],
        &["classify", "--map", "none.json", CAT],
        &["classify", "--adapter", "no such adapter", CAT],
        &["classify", "--backend", "no such backend", CAT],
        &["classify", "--cpu", "--precision", "f16", CAT],
        &["summary", "--arch", "v2", "--width", "nan"],
        &["summary", "--arch", "v3"],
        &["bench", "--runs", "0"],
        &["bench", "--width", "0.5"],
        &["run", "--input", "none.safetensors"],
    ] {
        let ran = mobilenet(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {} {}", ran.out, ran.err);
        assert!(ran.err.contains("error: ") && ran.out.is_empty(), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn help_has_examples_and_exit_codes() {
    let ran = mobilenet(["--help"]);
    assert!(ran.code == 0 && ran.out.contains("Exit codes: 0") && ran.out.contains("Examples:"), "{}", ran.out);
    assert!(mobilenet(["classify", "--help"]).out.contains("Exit codes: 0"));
    assert_eq!(mobilenet(["--version"]).out.trim(), format!("mobilenet {}", env!("CARGO_PKG_VERSION")));
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(mobilenet(["completions", shell]).out.contains("classify"), "{shell}");
    }
}

#[test]
fn overrides_reach_the_network() {
    let folder = Folder::new();
    let names = folder.write("names.txt", b"zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n");
    let ran = mobilenet(["classify", "--json", "--labels", names.to_str().unwrap(), CAT]);
    assert_eq!(lines(&ran)[0]["predictions"][0]["label"], "three");
    let ran = mobilenet(["inspect", "--json", "--size", "64x48", "--padding", "same", "--mean", "0.5", "--bn-eps", "0.01", "--squash"]);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["input_size"], serde_json::json!([64, 48]));
    assert_eq!((report["padding"].as_str(), report["bn_eps"].as_f64()), (Some("same"), Some(0.01)));
    assert_eq!(report["preprocessing"]["mean"], serde_json::json!([0.5, 0.5, 0.5]));
    assert_eq!(report["preprocessing"]["resize"], "squash");
}

#[test]
fn summary_counts_as_the_papers_do() {
    let totals = |arguments: &[&str]| {
        let ran = mobilenet(["summary", "--json"].iter().chain(arguments).copied().collect::<Vec<_>>());
        serde_json::from_str::<Value>(&ran.out).unwrap()["totals"].clone()
    };
    let v2 = totals(&["--arch", "v2"]);
    assert_eq!((v2["macs"].as_f64().unwrap() / 1e6).round(), 301.0);
    assert!((v2["params"].as_f64().unwrap() / 1e6 - 3.47).abs() < 0.01);
    let v1 = totals(&["--arch", "v1", "--width", "0.5", "--resolution", "160"]);
    assert_eq!((v1["macs"].as_f64().unwrap() / 1e6).round(), 77.0);
    let without = totals(&["--arch", "v1", "--classes", "0"]);
    assert!(without["params"].as_u64().unwrap() < totals(&["--arch", "v1"])["params"].as_u64().unwrap());
    let people = mobilenet(["summary"]).out;
    for part in ["block3.expand", "standard MACs", "equation 7", "parameters"] {
        assert!(people.contains(part), "no `{part}` in:\n{people}");
    }
}

#[test]
fn a_plan_needs_no_gpu() {
    let ran = mobilenet(["plan", "--device", "phone", "--json", "--batch", "2", "--outputs", "probabilities,block3.expand"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let value: Value = serde_json::from_str(&ran.out).unwrap();
    let steps = value["plan"]["steps"].as_array().unwrap();
    assert_eq!(value["totals"]["dispatches"].as_u64(), Some(steps.len() as u64));
    assert!(steps.iter().all(|s| s["why"]["by"].is_string() && s["variant"].is_string() && s["parameters"].is_object()));
    assert!(steps.iter().all(|s| s["bytes_read"].as_u64() > Some(0) && s["bytes_written"].as_u64() > Some(0)));
    let macs: u64 = steps.iter().map(|s| s["macs"].as_u64().unwrap()).sum();
    assert_eq!(value["totals"]["macs"].as_u64(), Some(macs));
    assert!(mobilenet(["plan", "--device", "web"]).out.contains("Totals"));
}

#[test]
fn adapters_and_bench_are_for_programs_too() {
    let ran = mobilenet(["adapters", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let adapters: Value = serde_json::from_str(&ran.out).unwrap();
    if needs_gpu() {
        let first = &adapters[0];
        assert!(first["name"].is_string() && first["driver"].is_string() && first["max_buffer_size"].as_u64() > Some(0));
        assert!(mobilenet(["adapters"]).out.contains(first["name"].as_str().unwrap()));
    }
    for more in [&[][..], &["--cpu", "--batch", "2"], &["--arch", "v2", "--width", "0.35", "--size", "64"]] {
        let ran = mobilenet(["bench", "--json", "--runs", "3"].iter().chain(more).copied().collect::<Vec<_>>());
        let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {}", ran.err));
        for field in ["first_ms", "process_ms", "median_ms", "min_ms", "p95_ms", "p99_ms", "images_per_s"] {
            assert!(report[field].as_f64().unwrap() > 0.0, "{field}: {report}");
        }
        assert!(report["process_ms"].as_f64() >= report["first_ms"].as_f64(), "{report}");
        assert!(report["runs"] == 3 && report["adapter"].is_string() && report["batch"].is_u64());
        assert!(report["min_ms"].as_f64() <= report["median_ms"].as_f64() && report["median_ms"].as_f64() <= report["p95_ms"].as_f64());
    }
}

/// The other ways of `bench`, each for programs and for people.
#[test]
fn bench_sweeps_profiles_draws_and_compares() {
    if mobilenet(["plan", "--model", "builtin"]).code != 0 {
        return assert!(!needs_gpu()); // no adapter here
    }
    let bench = |more: &[&str]| {
        let ran = mobilenet([&["bench", "--model", "builtin", "--runs", "6", "--warmup", "1"], more].concat());
        assert_eq!(ran.code, 0, "{more:?}: {}", ran.err);
        ran.out
    };
    let json = |more: &[&str]| serde_json::from_str::<Value>(&bench(&[more, &["--json"]].concat())).unwrap();
    let plain = bench(&[]);
    for part in ["first result", "from process start", "median", "95 % within", "99 % within", "throughput"] {
        assert!(plain.contains(part), "no `{part}` in:\n{plain}");
    }
    let sweep = json(&["--sweep", "--most", "4"]);
    assert_eq!(sweep.as_array().unwrap().iter().map(|l| l["batch"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 4]);
    assert!(sweep.as_array().unwrap().iter().all(|l| l["median"].as_f64().unwrap() > 0.0));
    assert_eq!(bench(&["--sweep", "--most", "2"]).lines().count(), 3, "a heading and two batches");

    let folder = Folder::new();
    let drawing = folder.join("layers.svg");
    let profile = json(&["--profile", "--plot", drawing.to_str().unwrap()]);
    let steps = profile["steps"].as_array().unwrap();
    assert!(steps.len() > 10 && steps.iter().all(|s| s["ns"].as_f64().unwrap() >= 0.0 && s["node"].is_string()), "{profile}");
    let shares: f64 = steps.iter().map(|s| s["share"].as_f64().unwrap()).sum();
    assert!((shares - 1.0).abs() < 1e-6, "{shares}");
    let svg = std::fs::read_to_string(drawing).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("stem") && svg.trim_end().ends_with("</svg>"));
    assert!(bench(&["--profile"]).contains("measured by"));
    assert_eq!(mobilenet(["bench", "--model", "builtin", "--plot", "x.svg"]).code, 2, "a drawing of the profile alone");

    let compared = json(&["--compare", "default", "without=fuse_activation,batch=2"]);
    assert_eq!((compared["a"]["settings"].as_str(), compared["b"]["times"]["batch"].as_u64()), (Some("default"), Some(2)));
    let [low, ratio, high] = ["low", "ratio", "high"].map(|field| compared[field].as_f64().unwrap());
    assert!(0.0 < low && low <= ratio && ratio <= high && compared["differs"].is_boolean(), "{compared}");
}

/// A record of a few kernels: written where it is told to, gone on with, and used by the plan.
#[test]
fn tune_writes_a_record_and_goes_on_with_it() {
    if mobilenet(["plan", "--model", "builtin"]).code != 0 {
        return assert!(!needs_gpu()); // no adapter here
    }
    let folder = Folder::new();
    let file = folder.join("record.json");
    let file = file.to_str().unwrap();
    let tune = |more: &[&str]| {
        let ran = mobilenet([&["tune", "--model", "builtin", "--json", "--rounds", "1", "--output", file], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        serde_json::from_str::<Value>(&ran.out).unwrap()
    };
    let number = |report: &Value, field: &str| report[field].as_u64().unwrap();
    // Budgets that a slow machine needs to measure anything at all.
    let budgets = ["200ms", "500ms", "2s", "10s", "60s"];
    let mut tried = budgets.iter().map(|budget| (budget, tune(&["--budget", budget])));
    let (budget, first) = tried.find(|(_, report)| number(report, "measured") > 0).unwrap();
    let then = tune(&["--budget", budget]);
    assert_eq!(number(&then, "known"), number(&first, "measured"));
    for report in [&first, &then] {
        let [cases, measured, known, failed, left] = ["cases", "measured", "known", "failed", "left"].map(|field| number(report, field));
        assert!(measured + known + failed + left == cases && failed == 0, "{report}");
    }
    let plan = mobilenet(["plan", "--model", "builtin", "--json", "--tuning", file]);
    assert_eq!(plan.err, "", "{plan:?}");
    let plan: Value = serde_json::from_str(&plan.out).unwrap();
    assert!(plan["plan"]["steps"].as_array().unwrap().iter().any(|s| s["why"]["by"] == "record"), "{plan}");

    // Of another driver, and damaged: a miss that is said, and no error. No file at all is a mistake.
    let text = std::fs::read_to_string(file).unwrap();
    let mut record: Value = serde_json::from_str(&text).unwrap();
    record["device"]["driver"] = "another 1.2".into();
    let other = folder.write("other.json", record.to_string().as_bytes());
    let damaged = folder.write("damaged.json", &text.as_bytes()[..text.len() / 2]);
    let noise = folder.write("noise.json", &[0xff, 0xfe, 0x00]);
    for (path, says) in [(&other, "it is of another 1.2, not of "), (&damaged, "not a tuning record"), (&noise, "not a tuning record")] {
        let ran = mobilenet(["plan", "--model", "builtin", "--json", "--tuning", path.to_str().unwrap()]);
        assert_eq!((ran.code, ran.err.lines().count()), (0, 1), "{}", ran.err);
        assert!(ran.err.starts_with("note: --tuning ") && ran.err.contains("is not used") && ran.err.contains(says), "{}", ran.err);
        assert!(!ran.out.contains(r#""by": "record""#), "{}", ran.out);
    }
    let twice = ["bench", "--model", "builtin", "--runs", "6", "--compare", "default", "batch=2", "--tuning", noise.to_str().unwrap()];
    assert_eq!(mobilenet(twice).err.matches("is not used").count(), 1, "two sessions, one note");
    let none = mobilenet(["plan", "--model", "builtin", "--tuning", folder.join("none.json").to_str().unwrap()]);
    assert!(none.code == 2 && none.err.contains("cannot be read"), "{}", none.err);
}

#[test]
fn without_an_adapter_the_cpu_does_it() {
    let none = [("WGPU_BACKEND", "webgpu")];
    let ran = mobilenet_with(["classify", "--json", CAT], &none, b"");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("on the CPU"), "{}", ran.err);
    assert_eq!(lines(&ran)[0]["predictions"][0]["label"], "cat");
}

/// The record is what the demo's bench in Chromium gave, a few cases of it; kernels that were edited since would be
/// stale, which is not what is tried here.
#[test]
fn a_browsers_record_plans_for_its_device() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/records/browser.json")).unwrap();
    let mut record: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(record["adapter_info"]["vendor"], "google");
    let table = mobilenet_wgpu::kernel::variants();
    for (key, case) in record["cases"].as_object_mut().unwrap() {
        for candidate in case["candidates"].as_array_mut().unwrap() {
            let is = |v: &&mobilenet_wgpu::kernel::Variant| key.starts_with(&format!("{} ", v.op)) && candidate["variant"] == *v.name;
            let Some(variant) = table.iter().find(is) else { continue };
            candidate["fingerprint"] = mobilenet_wgpu::measure::fingerprint(variant).into();
        }
    }
    let folder = Folder::new();
    folder.write("browser.json", record.to_string().as_bytes());
    let file = folder.join("browser.json");
    // At this size it has layers of the record.
    let ran = mobilenet(["plan", "--device", "web", "--json", "--model", "builtin", "--size", "16x16", "--tuning", file.to_str().unwrap()]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    let plan: Value = serde_json::from_str(&ran.out).unwrap();
    let steps = plan["plan"]["steps"].as_array().unwrap();
    let measured = steps.iter().filter(|s| s["why"]["by"] == "record").count();
    assert!(measured > 0 && ran.out.contains("swiftshader"), "{}", ran.out);
    // On another device it is read, said not to count, and does not.
    let other = mobilenet(["plan", "--device", "desktop", "--model", "builtin", "--tuning", file.to_str().unwrap()]);
    assert!(other.code == 0 && other.err.contains("is of google swiftshader"), "{other:?}");
}
