//! The lab and the tuner from the command line: users' kernels get the verdict that they deserve, records are found again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tool;

use tool::{Folder, Ran, mobilenet, mobilenet_with, needs_gpu};

/// Whether the tool finds an adapter; where there must be one, that is an error.
fn no_adapter(ran: &Ran) -> bool {
    let missing = ran.code == 2 && ran.err.contains("no adapter");
    assert!(!missing || !needs_gpu(), "{ran:?}");
    missing
}

/// A starting point, edited, run beside `register_tile`.
fn lab(edit: impl Fn(String) -> String, more: &[&str]) -> (Ran, Option<serde_json::Value>) {
    let folder = Folder::new();
    let file = folder.join("mine.wgsl");
    let path = file.to_str().unwrap();
    assert_eq!(mobilenet(["lab", "new", "pointwise", path]).code, 0);
    std::fs::write(&file, edit(std::fs::read_to_string(&file).unwrap())).unwrap();
    let shape = if more.contains(&"--shape") { vec![] } else { vec!["--shape", "7x7x24x42"] };
    let base = ["lab", "run", "pointwise", "--variant", "register_tile", "--rounds", "2", "--json", "--no-roof", "--wgsl", path];
    let ran = mobilenet(base.iter().chain(&shape).chain(more));
    let value = serde_json::from_str(&ran.out).ok();
    (ran, value)
}

/// What is said of the user's kernel, and of ours.
fn verdicts(value: &serde_json::Value) -> [(String, String); 2] {
    let of = |name: &str| {
        let candidates = value[0]["candidates"].as_array().unwrap();
        let found = candidates.iter().find(|c| c["variant"] == name).unwrap_or_else(|| panic!("no {name} in {value}"));
        (found["is"].as_str().unwrap().to_string(), found["why"].as_str().unwrap_or_default().to_string())
    };
    [of("mine"), of("register_tile")]
}

#[test]
fn a_starting_point_is_right_and_timed() {
    let (ran, value) = lab(|source| source, &[]);
    if no_adapter(&ran) {
        return;
    }
    assert_eq!(ran.code, 0, "{ran:?}");
    let value = value.unwrap();
    assert_eq!(verdicts(&value).map(|v| v.0), ["right", "right"]);
    assert!(value[0]["candidates"][1]["warm"]["median"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_kernel_that_is_wrong_at_one_place_differs() {
    let (ran, value) = lab(|s| s.replace("var v = sum;", "var v = sum; if (pixel == 13u && n == 10u) { v.y += 0.01; }"), &[]);
    if no_adapter(&ran) {
        return;
    }
    let [(mine, why), (ours, _)] = verdicts(&value.unwrap());
    assert_eq!((ran.code, mine.as_str(), ours.as_str()), (1, "differs", "right"));
    assert!(why.contains("row 1, column 6, channel 41"), "{why}");
}

#[test]
fn a_kernel_that_is_wrong_in_one_channel_or_at_odd_sizes_differs() {
    let (ran, value) = lab(|s| s.replace("var v = sum;", "var v = sum; if (n == 10u) { v.y += 0.01; }"), &[]);
    if no_adapter(&ran) {
        return;
    }
    let [(mine, why), _] = verdicts(&value.unwrap());
    assert_eq!((ran.code, mine.as_str()), (1, "differs"), "{why}");
    // The last of an odd number of pixels is left out: right at 8x8, wrong at 7x7.
    let even = |s: String| s.replace("if (pixel >= layer.pixels) { return; }", "if (pixel >= layer.pixels / 2u * 2u) { return; }");
    let (ran, value) = lab(even, &[]);
    let [(mine, why), _] = verdicts(&value.unwrap());
    assert_eq!((ran.code, mine.as_str()), (1, "differs"), "{why}");
    assert!(why.contains("row 6, column 6") && why.contains("nothing"), "{why}");
}

#[test]
fn a_kernel_that_is_wrong_at_odd_sizes_alone_is_found_beside_even_ones() {
    let even = |s: String| s.replace("if (pixel >= layer.pixels) { return; }", "if (pixel >= layer.pixels / 2u * 2u) { return; }");
    let (ran, value) = lab(even, &["--shape", "8x8x24x42"]);
    if !no_adapter(&ran) {
        let [(mine, why), _] = verdicts(&value.unwrap());
        assert_eq!((ran.code, mine.as_str()), (1, "differs"), "the shape is even: odd ones are tried too; {why}");
        assert!(why.contains("7x5"), "{why}");
    }
}

/// Whether a race shows as two results or as a wrong one is the scheduler's choice; right it is not.
#[test]
fn a_kernel_without_its_barrier_is_not_right() {
    let race = |s: String| {
        let s = s.replace("@compute", "var<workgroup> shared_bias: array<vec4<accum_t>, 64>;\n@compute");
        let s = s.replace("fn main(", "fn main(@builtin(local_invocation_index) local: u32, ");
        // Each takes its bias from the last invocation, which has not written it yet.
        s.replace("let b = vec4<accum_t>(bias[n]);", "shared_bias[63u - local] = vec4<accum_t>(bias[n ^ 0u]); let b = shared_bias[local];")
    };
    let (ran, value) = lab(race, &[]);
    if !no_adapter(&ran) {
        let [(mine, why), (ours, _)] = verdicts(&value.unwrap());
        assert!(ran.code == 1 && ["differs", "unsteady"].contains(&mine.as_str()) && ours == "right", "{mine}: {why}");
    }
}

#[test]
fn a_kernel_that_writes_past_its_end_is_out_of_bounds() {
    let (ran, value) = lab(|s| s.replace("if (pixel >= layer.pixels) { return; }", ""), &[]);
    if !no_adapter(&ran) {
        assert_eq!(verdicts(&value.unwrap())[0].0, "out_of_bounds");
    }
}

/// Far behind its output, at an index whose address in bytes is more than 32 bits hold, and at one that was less than nothing.
#[test]
fn a_kernel_that_writes_anywhere_else_is_out_of_bounds() {
    for index in ["o + 1000000u", "268435455u", "i32(o) - 100000"] {
        let far = format!("if (pixel == 5u && n == 2u) {{ output[{index}] = vec4<storage_t>(1.0); }} output[o] =");
        let (ran, value) = lab(|s| s.replace("output[o] =", &far), &[]);
        if no_adapter(&ran) {
            return;
        }
        let [(mine, why), (ours, _)] = verdicts(&value.unwrap());
        assert_eq!((ran.code, mine.as_str(), ours.as_str()), (1, "out_of_bounds", "right"), "{index}: {why}");
    }
}

#[test]
fn a_kernel_that_does_not_apply_says_why() {
    let (ran, value) = lab(|s| s.replace("@workgroup_size(8, 8)", "@workgroup_size(64, 64)"), &[]);
    if no_adapter(&ran) {
        return;
    }
    let [(mine, why), (ours, _)] = verdicts(&value.unwrap());
    assert_eq!((ran.code, mine.as_str(), ours.as_str()), (0, "skipped", "right"));
    assert!(why.contains("does not apply here: its workgroup has more invocations"), "{why}");
    // One of ours that was named too.
    let named = mobilenet(["lab", "run", "depthwise", "--shape", "7x7x8", "--variant", "direct,strip_s2", "--rounds", "1", "--no-roof"]);
    assert!(named.code == 0 && named.out.contains("strip_s2: skipped: it does not apply here: "), "{named:?}");
    // In a sweep, and in a network, where there are layers that it computes.
    let folder = Folder::new();
    let file = folder.join("mine.wgsl");
    let path = file.to_str().unwrap();
    assert_eq!(mobilenet(["lab", "new", "pointwise", path]).code, 0);
    let source = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, source.replace("ceil(pixels, 32)", "ceil(pixels, 32) * (1 - min(channels / 100, 1))")).unwrap();
    let record = folder.join("record.jsonl");
    let sweep = ["lab", "sweep", "--shape", "7x7x8x160", "--rounds", "1", "--no-roof", "--variant", "register_tile", "--wgsl", path, "-o"];
    let ran = mobilenet(sweep.iter().chain(&[record.to_str().unwrap()]));
    assert!(ran.code == 0 && ran.err.contains("mine: it does not apply here: its workgroups come to 0"), "{ran:?}");
    let ran = mobilenet(["classify", tool::CAT, "--use", path]);
    assert!(ran.code == 0 && ran.err.contains("mine.wgsl does not apply to block3.expand, "), "{ran:?}");
}

#[test]
fn what_fits_neither_device_nor_memory_is_refused_at_once() {
    for shape in ["70000x70000x32x32", "4294967295x4294967295x4294967295x4294967295"] {
        for op in ["pointwise", "inverted_residual", "softmax"] {
            let ran = mobilenet(["lab", "run", op, "--shape", shape, "--no-roof"]);
            if no_adapter(&ran) || op == "softmax" && shape.starts_with('7') {
                continue;
            }
            assert!(ran.code == 2 && ran.err.contains("needs ") && ran.err.contains("use a smaller shape"), "{op}: {ran:?}");
        }
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    let refused = |arguments: &[&str], part: &str| {
        let ran = mobilenet(arguments);
        assert!(ran.code == 2 && ran.err.contains(part), "{arguments:?}: {ran:?}");
    };
    refused(&["lab", "run", "pointwise", "--variant", "nosuch"], "--variant nosuch: there is no such kernel of ours");
    refused(&["lab", "run", "pointwise", "--variant", "strip"], "there are pointwise/register_tile, ");
    refused(
        &["lab", "run", "depthwise", "--layer", "stem"],
        "`stem` is a layer of convolution, not of depthwise; there are block1.depthwise",
    );
    refused(&["lab", "run", "--layer", "nosuch"], "the model has no layer `nosuch`; there are stem, ");
    refused(&["lab", "run", "--layer", "stem", "--shape", "7x7x8x8"], "cannot be used with '--shape");
    refused(&["lab", "run", "pointwise", "--model", "builtin"], "--layer NODE, or --all");
    refused(&["lab", "show", "pointwise/split_k", "--variant", "register_tile"], "are two kernels");
    refused(&["lab", "show", "pointwise/split_k", "--stride", "2"], "--shape");
    refused(&["lab", "show", "pointwise/nosuch"], "pointwise has no kernel `nosuch`; there are register_tile, ");
    refused(&["lab", "compare", "a", "b", "--noise", "nan"], "expected a share");
    refused(&["lab", "run", "pointwise", "--wgsl", "mine.wgsl", "--param", "X=nan"], "expected numbers");
}

#[test]
fn a_case_that_is_not_there_any_more_fails_a_comparison() {
    let folder = Folder::new();
    let [two, one] = ["two.jsonl", "one.jsonl"].map(|name| folder.join(name).to_str().unwrap().to_string());
    let sweep =
        |record: &str, shape| mobilenet(["lab", "sweep", "activation", "--shape", shape, "--rounds", "1", "--no-roof", "-o", record]);
    if no_adapter(&sweep(&two, "7x7x8")) {
        return;
    }
    std::fs::copy(&two, &one).unwrap();
    assert_eq!(sweep(&two, "9x9x8").code, 0);
    let ran = mobilenet(["lab", "compare", &two, &one, "--noise", "0.9"]);
    assert!(ran.code == 1 && ran.out.contains("MISSING") && ran.out.contains("9x9x8") && ran.out.contains("1 MISSING"), "{ran:?}");
    let ran = mobilenet(["lab", "compare", &one, &two, "--noise", "0.9", "--json"]);
    assert!(ran.code == 0 && ran.out.contains("\"missing\": 0") && ran.out.contains("\"unmatched\": 1"), "{ran:?}");
}

/// llvmpipe leaves a loop after 65,535 rounds of its own accord, so this one has four thousand million workgroups (and no
/// more: it counts them in 32 bits).
#[test]
fn an_endless_kernel_is_killed_and_the_others_are_measured() {
    let (ran, value) = lab(|source| source, &["--budget", "1", "--workgroups", "65535, 65535, 1"]);
    if no_adapter(&ran) {
        return;
    }
    let [(mine, why), (ours, _)] = verdicts(&value.unwrap());
    assert_eq!((ran.code, mine.as_str(), ours.as_str()), (1, "failed", "right"));
    assert!(why.contains("did not end") || why.contains("failed"), "{why}");
    // Of two settings the one that ends is measured.
    let tile = |s: String| s.replace("@compute", "override TILE: u32 = 1u;\n@compute");
    let (_, value) =
        lab(tile, &["--budget", "8", "--param", "TILE=1,65535", "--workgroups", "max(TILE, 2), max(TILE, ceil(pixels, 32)), 1"]);
    let value = value.unwrap();
    let candidates = value[0]["candidates"].as_array().unwrap();
    let is = |name: &str| candidates.iter().find(|c| c["variant"] == name).map(|c| c["is"].as_str().unwrap_or_default().to_string());
    assert_eq!([is("mine TILE=1"), is("mine TILE=65535")], [Some("right".into()), Some("failed".into())], "{value}");
}

#[test]
fn a_loop_that_does_not_end_is_not_right() {
    let endless = "var j = n; loop { if (layer.batch == 12345u) { break; } j += 1u; }";
    let (ran, value) = lab(|s| s.replace("var j = n;", endless), &["--budget", "1"]);
    if !no_adapter(&ran) {
        let [(mine, _), (ours, _)] = verdicts(&value.unwrap());
        assert!(ran.code == 1 && mine != "right" && ours == "right", "{ran:?}");
    }
}

#[test]
fn mistakes_are_shown_in_the_users_file() {
    let (ran, _) = lab(|s| s.replace("layer.pixels) { return; }", "layer.pixles) { return; }"), &[]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("mine.wgsl:") && ran.err.contains("pixles"), "{}", ran.err);
    let (ran, _) = lab(|s| s.replace("read> bias", "read_write> bias"), &[]);
    assert!(ran.code == 2 && ran.err.contains("`bias` must be var<storage, read>"), "{}", ran.err);
    assert!(ran.err.contains("mine.wgsl:") && ran.err.contains("@group(0) @binding(4) var<storage, read_write> bias"), "{}", ran.err);
}

#[test]
fn parameters_are_tried() {
    let tile = |s: String| {
        s.replace("@compute", "override TILE: u32 = 1u;\n@compute").replace("var v = sum;", "var v = sum * f32(TILE) / f32(TILE);")
    };
    let (ran, value) = lab(tile, &["--param", "TILE=1,2"]);
    if !no_adapter(&ran) {
        let names: Vec<_> = value.unwrap()[0]["candidates"].as_array().unwrap().iter().map(|c| c["variant"].clone()).collect();
        assert_eq!(names, ["register_tile", "mine TILE=1", "mine TILE=2"]);
    }
}

#[test]
fn variants_are_listed_and_shown() {
    let list = mobilenet(["lab", "list", "pointwise"]);
    assert!(list.code == 0 && list.out.contains("split_k") && list.out.contains("shaders/pointwise/split_k.wgsl"), "{list:?}");
    let shown = mobilenet(["lab", "show", "pointwise/split_k", "--lang", "msl"]);
    assert!(shown.code == 0 && shown.out.contains("kernel void"), "{shown:?}");
    assert_eq!(mobilenet(["lab", "show", "pointwise/nothing"]).code, 2);
    assert_eq!(mobilenet(["lab", "show", "pointwise"]).code, 2);
    let shown = mobilenet(["lab", "show", "pointwise", "--variant", "split_k", "--shape", "14x14x96x576"]);
    if !no_adapter(&shown) {
        assert!(shown.out.contains("dispatch of 18 x 49 x 1 workgroups of 64 invocations"), "{shown:?}");
        assert!(shown.out.contains("\"out_c4\":144") && shown.out.contains("@compute"), "{shown:?}");
    }
    // The user's own, with its constants in their places.
    let folder = Folder::new();
    let file = folder.join("mine.wgsl");
    let path = file.to_str().unwrap();
    assert_eq!(mobilenet(["lab", "new", "pointwise", path]).code, 0);
    let source = std::fs::read_to_string(&file).unwrap().replace("@compute", "override TILE: u32 = 1u;\n@compute");
    std::fs::write(&file, source.replace("var v = sum;", "var v = sum * f32(TILE);")).unwrap();
    for (lang, part) in [("msl", "5.0"), ("hlsl", "5.0"), ("spirv", "07230203"), ("ir", "entry_points"), ("wgsl", "override TILE")] {
        let shown = mobilenet(["lab", "show", "--wgsl", path, "--param", "TILE=5", "--lang", lang]);
        assert!(shown.code == 0 && shown.out.contains(part), "{lang}: {shown:?}");
    }
}

#[test]
fn a_record_is_kept_and_found_by_the_next_plan() {
    let folder = Folder::new();
    let settings = [("MOBILENET_CONFIG_DIR", folder.path())];
    let quick = ["tune", "--rounds", "1", "--budget", "6", "--json"];
    let first = mobilenet_with(quick, &settings, b"");
    if no_adapter(&first) {
        return;
    }
    assert_eq!(first.code, 0, "{first:?}");
    let report: serde_json::Value = serde_json::from_str(&first.out).unwrap();
    assert!(report["measured"].as_u64().unwrap() > 0, "{report}");
    assert!(report["record"].as_str().unwrap().starts_with(folder.path()), "{report}");
    let why = |more: &[&str]| {
        let plan = mobilenet_with(["plan", "--json"].iter().chain(more), &settings, b"");
        let plan: serde_json::Value = serde_json::from_str(&plan.out).unwrap_or_else(|e| panic!("{e}: {plan:?}"));
        let steps = plan["plan"]["steps"].as_array().unwrap().clone();
        steps.iter().filter(|s| s["why"]["by"] == "record").count()
    };
    assert!(why(&[]) > 0);
    assert_eq!(why(&["--tuning", "none"]), 0);
    let bad = mobilenet_with(["plan", "--tuning", tool::CAT], &settings, b"");
    assert!(bad.code == 0 && bad.err.contains("is not used: tuning: not a tuning record"), "a miss, and no error: {bad:?}");
    // Kernels that were edited since are told.
    let plan = || mobilenet_with(["plan"], &settings, b"");
    assert!(!plan().err.contains("were tuned with"), "{:?}", plan());
    let path = report["record"].as_str().unwrap();
    let mut record: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = record["cases"].as_object_mut().unwrap();
    for candidate in cases.values_mut().flat_map(|case| case["candidates"].as_array_mut().unwrap()) {
        candidate["fingerprint"] = "0".into();
    }
    let all = cases.len();
    std::fs::write(path, record.to_string()).unwrap();
    assert!(plan().err.contains(&format!("{all} of {all} layers")), "{:?}", plan());
    assert_eq!(why(&[]), 0);
}

#[test]
fn a_network_takes_a_kernel_of_the_users_and_says_whether_it_is_still_right() {
    let folder = Folder::new();
    let (good, bad) = (folder.join("good.wgsl"), folder.join("bad.wgsl"));
    assert_eq!(mobilenet(["lab", "new", "pointwise", good.to_str().unwrap()]).code, 0);
    let source = std::fs::read_to_string(&good).unwrap();
    std::fs::write(&bad, source.replace("var v = sum;", "var v = sum; if (n == 0u) { v.x += 0.5; }")).unwrap();
    let classify = |file: &std::path::Path| mobilenet(["classify", tool::CAT, "--json", "--use", file.to_str().unwrap()]);
    let ran = classify(&good);
    if no_adapter(&ran) {
        return;
    }
    assert!(ran.code == 0 && ran.err.contains("agree with the reference"), "{ran:?}");
    assert!(ran.err.contains("computes 35 of 35 pointwise steps"), "{ran:?}");
    let ran = classify(&bad);
    assert!(ran.code == 1 && ran.err.contains("DIFFER from the reference"), "{ran:?}");
    let file = good.to_str().unwrap();
    let bench = mobilenet(["bench", "--runs", "3", "--json", "--use", file]);
    assert!(bench.code == 0 && bench.err.contains("agree with the reference"), "{bench:?}");
    let plan = mobilenet(["plan", "--json", "--use", file]);
    assert!(plan.out.contains("\"good\"") && plan.out.contains("preference"), "{plan:?}");
    assert_eq!(mobilenet(["classify", tool::CAT, "--use", "nothing.wgsl"]).code, 2);
    assert_eq!(mobilenet(["lab", "run", "pointwise", "--use", file]).code, 2);
}

#[test]
fn a_kernel_that_does_not_end_is_an_error_of_the_network_that_takes_it() {
    let folder = Folder::new();
    let file = folder.join("endless.wgsl");
    let path = file.to_str().unwrap();
    assert_eq!(mobilenet(["lab", "new", "pointwise", path]).code, 0);
    let source = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, source.replace("workgroups = ceil(out_c4, 8), ceil(pixels, 32)", "workgroups = 65535, 65535, 1")).unwrap();
    let start = std::time::Instant::now();
    let ran = mobilenet(["classify", tool::CAT, "--use", path]);
    if no_adapter(&ran) {
        return;
    }
    assert!(ran.code == 2 && ran.out.is_empty(), "{ran:?}");
    assert!(ran.err.contains("endless.wgsl: tried at ") && ran.err.contains("(pointwise 1x"), "{ran:?}");
    // A GPU's watchdog may be quicker than ours.
    assert!(ran.err.contains("did not end") || ran.err.contains("failed") || ran.err.contains("lost"), "{ran:?}");
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

#[test]
fn a_watched_file_is_run_again_when_it_is_saved() {
    use std::io::{BufRead, BufReader};
    let folder = Folder::new();
    let file = folder.join("mine.wgsl");
    let path = file.to_str().unwrap();
    assert_eq!(mobilenet(["lab", "new", "pointwise", path]).code, 0);
    let source = std::fs::read_to_string(&file).unwrap();
    let arguments = ["lab", "run", "--shape", "7x7x8x8", "--variant", "register_tile", "--rounds", "1", "--no-roof", "--csv", "--watch"];
    let mut child = tool::command(arguments.into_iter().chain(["--wgsl", path])).spawn().unwrap();
    let (sender, lines) = std::sync::mpsc::channel();
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    for pipe in [Box::new(out) as Box<dyn std::io::Read + Send>, Box::new(err)] {
        let sender = sender.clone();
        std::thread::spawn(move || BufReader::new(pipe).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    }
    let wait = |part: &str| loop {
        let line = lines.recv_timeout(std::time::Duration::from_secs(120)).unwrap_or_else(|_| panic!("nothing says `{part}`"));
        if line.contains("no adapter") {
            return false;
        }
        if line.contains(part) {
            return true;
        }
    };
    if wait("watching") {
        std::fs::write(&file, source.replace("fn main(", "fn main((")).unwrap();
        assert!(wait("mine.wgsl:") && wait("watching"), "a mistake is shown and does not end it");
        std::fs::write(&file, source).unwrap();
        assert!(wait("\"mine\",\"right\""));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_budget_bounds_a_run_and_what_did_not_fit_is_told() {
    let none = mobilenet(["lab", "run", "pointwise", "--budget", "0s", "--no-roof"]);
    if no_adapter(&none) {
        return;
    }
    assert!(none.code == 0 && none.out.contains("no time was left for") && none.out.contains("--budget"), "{none:?}");
    // One layer with the defaults, on whatever adapter there is; the roof is measured on the way.
    let folder = Folder::new();
    let start = std::time::Instant::now();
    let ran = mobilenet_with(["lab", "run", "pointwise"], &[("MOBILENET_CONFIG_DIR", folder.path())], b"");
    assert!(ran.code == 0 && ran.out.contains("of roof") && ran.out.contains(" %"), "{ran:?}");
    assert!(start.elapsed().as_secs() < 60, "it takes half of that on two busy cores: {:?}", start.elapsed());
    assert_eq!(std::fs::read_dir(folder.join("roof")).unwrap().count(), 1, "the roof is kept");
    assert_eq!(mobilenet(["lab", "run", "pointwise", "--budget", "soon"]).code, 2);
}

#[test]
fn the_tutorials_kernel_is_right_where_it_applies() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/lab/stem.wgsl");
    let run = |shape| mobilenet(["lab", "run", "--shape", shape, "--stride", "2", "--rounds", "1", "--no-roof", "--json", "--wgsl", file]);
    let ran = run("33x31x3x32");
    if no_adapter(&ran) {
        return;
    }
    let value: serde_json::Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    let stem = value[0]["candidates"].as_array().unwrap().iter().find(|c| c["variant"] == "stem");
    // Where subgroups are not 8 wide it would be wrong, and the lab is there to say so.
    if mobilenet(["lab", "run", "convolution", "--shape", "33x31x3x32", "--rounds", "1", "--no-roof"]).out.contains("subgroup8_14") {
        assert_eq!(stem.unwrap()["is"], "right", "{ran:?}");
    }
    let other: serde_json::Value = serde_json::from_str(&run("33x31x24x32").out).unwrap();
    let stem = other[0]["candidates"].as_array().unwrap().iter().find(|c| c["variant"] == "stem");
    assert_eq!(stem.unwrap()["is"], "skipped", "it is not for many channels");
}
