//! The lab from a sweep to a page: results are kept and found again, compared, adopted, and the page shows its plots in a
//! real browser.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod tool;

use std::path::Path;
use std::process::Command;
use tool::{Folder, Ran, mobilenet, mobilenet_with, needs_gpu};

fn no_adapter(ran: &Ran) -> bool {
    let missing = ran.code == 2 && ran.err.contains("no adapter");
    assert!(!missing || !needs_gpu(), "{ran:?}");
    missing
}

/// A sweep of a small shape into `file`; `None` without an adapter.
fn sweep(file: &Path, more: &[&str]) -> Option<Ran> {
    let base = ["lab", "sweep", "pointwise", "--shape", "7x7x24x24", "--rounds", "3", "--no-roof", "-o", file.to_str().unwrap()];
    let ran = mobilenet(base.iter().chain(more));
    if no_adapter(&ran) {
        return None;
    }
    assert_eq!(ran.code, 0, "{ran:?}");
    Some(ran)
}

/// Chromium as Debian and others install it, or as `CHROMIUM` names it.
fn chromium() -> Option<String> {
    let named = std::env::var("CHROMIUM").ok().filter(|name| !name.is_empty());
    let known = ["/usr/lib/chromium/chromium", "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    named.or_else(|| known.into_iter().find(|path| Path::new(path).exists()).map(String::from))
}

#[test]
fn a_sweep_is_kept_goes_on_and_is_adopted() {
    let folder = Folder::new();
    let file = folder.join("sweep.jsonl");
    let Some(first) = sweep(&file, &["--variant", "register_tile,split_k"]) else { return };
    assert!(first.out.contains("2 candidates measured now"), "{first:?}");
    // What is there already is not measured again; what is new is.
    assert!(sweep(&file, &["--variant", "register_tile,split_k"]).unwrap().out.contains("0 candidates measured now"));
    let more = sweep(&file, &["--variant", "register_tile,split_k,workgroup_tile", "--json"]).unwrap();
    let value: serde_json::Value = serde_json::from_str(&more.out).unwrap();
    assert_eq!(value[0]["candidates"].as_array().unwrap().len(), 3, "{value}");
    // A run that was killed in the middle of a line does not spoil the rest.
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}{}", &text[..40])).unwrap();
    assert!(sweep(&file, &["--variant", "register_tile"]).unwrap().out.contains("0 candidates measured now"));
    let halved = sweep(&folder.join("halved.jsonl"), &["--strategy", "halving"]).unwrap();
    assert!(halved.out.contains("candidates measured now"), "{halved:?}");

    let settings = [("MOBILENET_CONFIG_DIR", folder.path())];
    let adopted = mobilenet_with(["lab", "adopt", file.to_str().unwrap(), "--json"], &settings, b"");
    let value: serde_json::Value = serde_json::from_str(&adopted.out).unwrap_or_else(|e| panic!("{e}: {adopted:?}"));
    assert_eq!((adopted.code, value["cases"].as_u64()), (0, Some(1)));
    let record = value["record"].as_str().unwrap();
    assert!(record.starts_with(folder.path()), "{record}");
    let looked = mobilenet_with(["lab", "look", record, "--csv"], &settings, b"");
    assert!(looked.code == 0 && looked.out.contains("split_k") && looked.out.lines().count() == 4, "{looked:?}");
}

#[test]
fn comparison_tells_what_is_slower_by_its_exit_code() {
    let folder = Folder::new();
    let (base, slow) = (folder.join("base.jsonl"), folder.join("slow.jsonl"));
    if sweep(&base, &[]).is_none() {
        return;
    }
    let same = mobilenet(["lab", "compare", base.to_str().unwrap(), base.to_str().unwrap()]);
    assert!(same.code == 0 && same.out.contains("1 the same"), "{same:?}");
    let mut entry: serde_json::Value = serde_json::from_str(std::fs::read_to_string(&base).unwrap().lines().next().unwrap()).unwrap();
    for candidate in entry["candidates"].as_array_mut().unwrap() {
        for key in ["min", "p10", "median", "p90"] {
            let ns = &mut candidate["warm"][key];
            *ns = (ns.as_f64().unwrap() * 30.0).into();
        }
    }
    std::fs::write(&slow, format!("{entry}\n")).unwrap();
    let worse = mobilenet(["lab", "compare", base.to_str().unwrap(), slow.to_str().unwrap(), "--json"]);
    assert_eq!(worse.code, 1, "{worse:?}");
    let value: serde_json::Value = serde_json::from_str(&worse.out).unwrap();
    assert_eq!((value["slower"].as_u64(), value["changes"][0]["became"].as_str()), (Some(1), Some("slower")));
    assert_eq!(mobilenet(["lab", "compare", slow.to_str().unwrap(), base.to_str().unwrap()]).code, 0);
    assert_eq!(mobilenet(["lab", "compare", base.to_str().unwrap(), tool::CAT]).code, 2);
}

#[test]
fn separable_layers_are_measured_and_drawn() {
    let folder = Folder::new();
    let (bars, curves) = (folder.join("bars.svg"), folder.join("curves.svg"));
    let small = ["lab", "separable", "--width", "0.25", "--resolution", "32", "--rounds", "1", "--json", "--plot", bars.to_str().unwrap()];
    let ran = mobilenet(small);
    if no_adapter(&ran) {
        return;
    }
    let value: serde_json::Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    assert_eq!(value["layers"].as_array().unwrap().len(), 13);
    assert!(value["sum"]["time_ratio"].as_f64().unwrap() > 0.0, "{value}");
    assert!(std::fs::read_to_string(&bars).unwrap().contains("block13"));
    let base = ["lab", "separable", "--sweep", "--widths", "0.25,0.5", "--resolutions", "32,64", "--rounds", "1"];
    let ran = mobilenet(base.iter().chain(&["--plot", curves.to_str().unwrap()]));
    assert!(ran.code == 0 && ran.out.lines().count() == 4, "{ran:?}");
    assert!(std::fs::read_to_string(&curves).unwrap().contains("<polyline"));
}

#[test]
fn the_page_shows_its_plots_in_a_browser_without_errors() {
    let folder = Folder::new();
    let (one, two) = (folder.join("before.jsonl"), folder.join("after.jsonl"));
    if sweep(&one, &[]).is_none() || sweep(&two, &[]).is_none() {
        return;
    }
    let page = folder.join("report.html");
    let made = mobilenet(["lab", "report", one.to_str().unwrap(), two.to_str().unwrap(), "-o", page.to_str().unwrap()]);
    assert_eq!(made.code, 0, "{made:?}");
    let text = std::fs::read_to_string(&page).unwrap();
    assert!(text.contains("before and after") && text.contains("fn main(") && !text.contains("src=") && !text.contains("<link"));
    let Some(browser) = chromium() else {
        println!("skipped: no Chromium here; CHROMIUM names one");
        return;
    };
    let profile = folder.join("profile");
    let ran = Command::new(&browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let (dom, said) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    // Three plots: a roofline for each record, and the bars of both; each has shapes that take room on the page.
    assert!(dom.contains("data-plots=\"3\" data-drawn=\"3\""), "{}\n{said}", &dom[..dom.len().min(400)]);
    let complaints: Vec<&str> = said.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}
