//! `mobilenet pull` against a hub of our own on loopback: the cache's layout, resuming, checks, errors, offline.
#![cfg(feature = "hub")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "hub/server.rs"]
mod server;

use server::{COMMIT, Reply, Request, Server, git_sha1, hub_answer, noise, ranged, sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const CONFIG: &[u8] = br#"{"architecture": "mobilenetv2_100"}"#;

/// A hub with `org/net`, its storage, and an empty cache.
struct Place {
    hub: Server,
    storage: Server,
    home: PathBuf,
    weights: Vec<u8>,
}

impl Place {
    /// `storage` answers for the weights.
    fn new(storage: impl Fn(&Request, usize, &[u8]) -> Reply + Send + Sync + 'static) -> Self {
        Self::with_hub(storage, |_, _| None)
    }
    /// `hub` may answer in the hub's place.
    fn with_hub(
        storage: impl Fn(&Request, usize, &[u8]) -> Reply + Send + Sync + 'static,
        hub: impl Fn(&Request, usize) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let home = std::env::temp_dir().join(format!("mobilenet-hub-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)));
        let _ = fs::remove_dir_all(&home);
        let weights = noise(300_000);
        let (content, copy) = (weights.clone(), weights.clone());
        let storage = Server::start(move |request, before| storage(request, before, &content));
        let url = storage.url.clone();
        let hub = Server::start(move |request, before| hub(request, before).unwrap_or_else(|| hub_answer(request, CONFIG, &copy, &url)));
        Self { hub, storage, home, weights }
    }
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mobilenet"));
        command.args(arguments).env_clear().env("HF_HOME", &self.home).env("HF_ENDPOINT", &self.hub.url);
        // Without it Windows has no sockets.
        command.envs(std::env::var_os("SystemRoot").map(|root| ("SystemRoot", root)));
        command
    }
    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
    /// Runs what must succeed, and gives standard output.
    fn pull(&self, name: &str) -> PathBuf {
        let output = self.run(&["pull", name]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        PathBuf::from(text(&output.stdout).trim())
    }
    /// Runs what must fail with exit code 2, and gives the message.
    fn refuse(&self, name: &str) -> String {
        let output = self.run(&["pull", name]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        assert!(output.stdout.is_empty());
        text(&output.stderr)
    }
    fn repository(&self) -> PathBuf {
        self.home.join("hub/models--org--net")
    }
    fn blobs(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.repository().join("blobs")) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
    fn part(&self) -> PathBuf {
        self.repository().join("blobs").join(format!("{}.incomplete", sha256(&self.weights)))
    }
    fn assert_whole(&self, folder: &Path) {
        assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), self.weights);
        assert_eq!(fs::read(folder.join("config.json")).unwrap(), CONFIG);
        assert!(!self.part().exists());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.home);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_cache_has_the_layout_of_the_hub() {
    let place = Place::new(|request, _, content| ranged(request, content));
    let folder = place.pull("org/net");
    assert_eq!(folder, place.repository().join("snapshots").join(COMMIT));
    place.assert_whole(&folder);
    assert_eq!(fs::read_to_string(place.repository().join("refs/main")).unwrap(), COMMIT);
    let mut blobs = place.blobs();
    blobs.sort();
    let mut expected = vec![sha256(&place.weights), git_sha1(CONFIG)];
    expected.sort();
    assert_eq!(blobs, expected);
    #[cfg(unix)]
    assert_eq!(fs::read_link(folder.join("model.safetensors")).unwrap(), Path::new("../../blobs").join(sha256(&place.weights)));
    assert!(place.repository().join(".no_exist").join(COMMIT).join("preprocessor_config.json").exists());

    let before = place.storage.requests().len();
    place.assert_whole(&place.pull("org/net"));
    assert_eq!(place.storage.requests().len(), before, "what is in the cache is not fetched again");
}

#[test]
fn json_says_what_was_fetched() {
    let place = Place::new(|request, _, content| ranged(request, content));
    for fetched in [true, false] {
        let output = place.run(&["pull", "org/net", "--json"]);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["commit"], COMMIT);
        let files = json["files"].as_array().unwrap();
        assert_eq!(files.iter().map(|f| f["file"].as_str().unwrap()).collect::<Vec<_>>(), ["config.json", "model.safetensors"]);
        assert!(files.iter().all(|f| f["fetched"] == fetched), "{json}");
    }
}

#[test]
fn the_token_goes_to_the_hub_and_to_nobody_else() {
    let place = Place::new(|request, _, content| ranged(request, content));
    let output = place.command(&["pull", "org/net"]).env("HF_TOKEN", "hf_secret").output().unwrap();
    assert!(output.status.success());
    assert!(place.hub.requests().iter().all(|r| r.header("authorization") == Some("Bearer hf_secret")));
    let stored = place.storage.requests();
    assert!(!stored.is_empty() && stored.iter().all(|r| r.header("authorization").is_none()));

    let place = Place::new(|request, _, content| ranged(request, content));
    fs::create_dir_all(&place.home).unwrap();
    fs::write(place.home.join("token"), "hf_file\n").unwrap();
    place.pull("org/net");
    assert!(place.hub.requests().iter().all(|r| r.header("authorization") == Some("Bearer hf_file")));
}

#[test]
fn a_cut_download_goes_on_where_it_ended() {
    let place = Place::new(|request, before, content| Reply { cut: (before < 2).then_some(100_000), ..ranged(request, content) });
    place.assert_whole(&place.pull("org/net"));
    let ranges: Vec<_> = place.storage.gets().iter().map(|r| r.header("range").map(str::to_string)).collect();
    assert_eq!(ranges, [None, Some("bytes=100000-".into()), Some("bytes=200000-".into())]);
}

#[test]
fn a_silent_connection_is_given_up_and_resumed() {
    let place = Place::new(|request, before, content| Reply { stall: (before == 0).then_some(100_000), ..ranged(request, content) });
    let output = place.command(&["pull", "org/net"]).env("HF_HUB_DOWNLOAD_TIMEOUT", "1").output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    place.assert_whole(Path::new(text(&output.stdout).trim()));
    assert_eq!(place.storage.gets().len(), 2);
}

#[test]
fn a_killed_pull_leaves_nothing_that_is_taken_for_whole() {
    let place = Place::new(|request, before, content| Reply { stall: (before == 0).then_some(120_000), ..ranged(request, content) });
    let mut child = place.command(&["pull", "org/net"]).spawn().unwrap();
    let begun = Instant::now();
    while fs::metadata(place.part()).map_or(0, |m| m.len()) < 120_000 {
        assert!(begun.elapsed() < Duration::from_secs(20), "the download does not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!place.repository().join("snapshots").join(COMMIT).join("model.safetensors").exists());
    let offline = place.command(&["pull", "org/net"]).env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert_eq!(offline.status.code(), Some(2));

    place.assert_whole(&place.pull("org/net"));
    assert_eq!(place.storage.gets().last().unwrap().header("range"), Some("bytes=120000-"), "nothing is fetched twice");
}

#[test]
fn a_server_without_ranges_begins_anew() {
    let place = Place::new(|request, before, content| Reply {
        cut: (before == 0).then_some(50_000),
        ..ranged(&Request { headers: Default::default(), ..request.clone() }, content)
    });
    place.assert_whole(&place.pull("org/net"));
}

#[test]
fn wrong_content_is_refused_and_not_kept() {
    let place = Place::new(|request, _, content| {
        let mut wrong = content.to_vec();
        wrong[1234] ^= 1;
        ranged(request, &wrong)
    });
    let message = place.refuse("org/net");
    assert!(message.contains("arrived damaged") && message.contains(&sha256(&place.weights)), "{message}");
    assert!(!place.part().exists() && !place.blobs().contains(&sha256(&place.weights)));
}

#[test]
fn a_damaged_part_or_blob_is_fetched_anew() {
    let place = Place::new(|request, _, content| ranged(request, content));
    fs::create_dir_all(place.part().parent().unwrap()).unwrap();
    fs::write(place.part(), noise(400_000)).unwrap();
    place.assert_whole(&place.pull("org/net"));
    let blob = place.repository().join("blobs").join(sha256(&place.weights));
    fs::write(&blob, &place.weights[..1000]).unwrap();
    place.assert_whole(&place.pull("org/net"));
    fs::remove_file(&blob).unwrap();
    fs::write(place.part(), vec![0; 1000]).unwrap();
    place.assert_whole(&place.pull("org/net"));
}

#[test]
fn a_revision_can_be_named() {
    let place = Place::new(|request, _, content| ranged(request, content));
    place.assert_whole(&place.pull("org/net@v1"));
    assert_eq!(fs::read_to_string(place.repository().join("refs/v1")).unwrap(), COMMIT);
    place.assert_whole(&place.pull(&format!("org/net@{COMMIT}")));
    assert!(!place.repository().join("refs").join(COMMIT).exists());
    let output = place.run(&["pull", "org/net", "--revision", "v9"]);
    assert!(text(&output.stderr).contains("revision `v9` of org/net is not on the hub"), "{}", text(&output.stderr));
}

#[test]
fn names_that_are_not_there_are_told_from_forbidden_ones() {
    let place = Place::with_hub(
        |request, _, content| ranged(request, content),
        |request, _| match request.path.split('/').nth(2).unwrap() {
            "secret" => Some(Reply::status(401).with("X-Error-Code", "RepoNotFound")),
            "login" => Some(Reply::status(401)),
            "gated" => Some(Reply::status(403).with("X-Error-Code", "GatedRepo")),
            "empty" => Some(Reply::status(404).with("X-Error-Code", "EntryNotFound").with("X-Repo-Commit", COMMIT)),
            _ => None,
        },
    );
    assert!(place.refuse("org/other").contains("org/other is not on the hub"));
    assert!(place.refuse("org/secret").contains("HF_TOKEN"));
    assert!(place.refuse("org/login").contains("refuses access to org/login (HTTP 401)"));
    assert!(place.refuse("org/gated").contains("accept its terms"));
    assert!(place.refuse("org/empty").contains("neither `model.safetensors` nor `pytorch_model.bin`"));
    assert!(place.refuse("not a name").contains("expected `organisation/name`"));
    assert!(!place.home.join("hub").join("models--org--other").exists());
}

#[test]
fn a_busy_hub_is_asked_again() {
    let place = Place::with_hub(
        |request, before, content| if before == 0 { Reply::status(503) } else { ranged(request, content) },
        |_, before| (before == 0).then(|| Reply::status(429).with("Retry-After", 1)),
    );
    place.assert_whole(&place.pull("org/net"));

    let place = Place::new(|_, _, _| Reply::status(500));
    let message = place.refuse("org/net");
    assert!(message.contains("HTTP 500") && message.contains("try again later"), "{message}");
}

#[test]
fn pytorch_weights_where_there_are_no_others() {
    let content = noise(5000);
    let copy = content.clone();
    let place = Place::with_hub(
        |request, _, content| ranged(request, content),
        move |request, _| match request.path.rsplit('/').next().unwrap() {
            "pytorch_model.bin" => {
                Some(ranged(request, &copy).with("X-Repo-Commit", COMMIT).with("ETag", format!("\"{}\"", git_sha1(&copy))))
            }
            "config.json" => None,
            _ => Some(Reply::status(404).with("X-Error-Code", "EntryNotFound").with("X-Repo-Commit", COMMIT)),
        },
    );
    assert_eq!(fs::read(place.pull("org/net").join("pytorch_model.bin")).unwrap(), content);
}

#[test]
fn offline_with_the_file_works_and_without_says_what_to_copy() {
    let place = Place::new(|request, _, content| ranged(request, content));
    let offline = |place: &Place| place.command(&["pull", "org/net"]).env("HF_HUB_OFFLINE", "1").output().unwrap();
    let message = text(&offline(&place).stderr);
    assert!(message.contains("mobilenet pull org/net") && message.contains("models--org--net"), "{message}");
    assert!(place.hub.requests().is_empty());
    place.pull("org/net");
    let asked = place.hub.requests().len();
    let output = offline(&place);
    assert!(output.status.success());
    place.assert_whole(Path::new(text(&output.stdout).trim()));
    assert_eq!(place.hub.requests().len(), asked);
}

/// Weights that Python fetched as a single file: what describes them is fetched when the model is used.
#[cfg(feature = "builtin-model")]
#[test]
fn what_describes_weights_in_the_cache_is_fetched() {
    let place = Place::new(|request, _, content| ranged(request, content));
    let folder = place.repository().join("snapshots").join(COMMIT);
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("builtin/mobilenet_v2_cifar10.safetensors");
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(place.repository().join("refs")).unwrap();
    fs::copy(weights, folder.join("model.safetensors")).unwrap();
    fs::write(place.repository().join("refs/main"), COMMIT).unwrap();
    let inspect = |variable: (&str, &str)| {
        let output = place.command(&["inspect", "--model", "org/net"]).env(variable.0, variable.1).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    let offline = inspect(("HF_HUB_OFFLINE", "1"));
    assert!(offline.contains("config.json is not in the cache") && offline.contains("mobilenet pull org/net"), "{offline}");
    assert!(place.hub.requests().is_empty());
    let pulled = place.command(&["pull", "org/net"]).env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert!(pulled.status.success() && text(&pulled.stderr).contains("config.json is not in the cache"), "{}", text(&pulled.stderr));
    // A hub that cannot be reached is no error: the weights will do.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let unreachable = inspect(("HF_ENDPOINT", &format!("http://{nobody}")));
    assert!(unreachable.contains("config.json is not in the cache"), "{unreachable}");
    assert_eq!(inspect(("HF_HUB_OFFLINE", "0")), "");
    assert_eq!(fs::read(folder.join("config.json")).unwrap(), CONFIG);
    let asked = place.hub.requests().len();
    assert_eq!(inspect(("HF_HUB_OFFLINE", "0")), "");
    assert_eq!(place.hub.requests().len(), asked, "once");
}

#[test]
fn an_unreachable_hub_is_named() {
    let place = Place::new(|request, _, content| ranged(request, content));
    // A port that nobody listens at.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = place.command(&["pull", "org/net"]).env("HF_ENDPOINT", format!("http://{nobody}")).output().unwrap();
    let message = text(&output.stderr);
    assert!(message.contains("cannot be reached") && message.contains("models--org--net"), "{message}");
}

#[test]
fn something_that_is_no_hub_is_told_so() {
    let place = Place::with_hub(
        |request, _, content| ranged(request, content),
        |_, _| Some(Reply { body: b"<html>".to_vec(), ..Reply::status(200) }),
    );
    assert!(place.refuse("org/net").contains("does not answer as a hub does"));
    let place = Place::with_hub(|request, _, content| ranged(request, content), |r, _| Some(Reply::status(307).with("Location", &r.path)));
    assert!(place.refuse("org/net").contains("redirects"));
}

/// With `MOBILENET_TEST_PYTHON`, a Python that has `huggingface_hub`: each finds what the other fetched.
#[test]
fn python_shares_the_cache() {
    let Some(python) = std::env::var_os("MOBILENET_TEST_PYTHON") else { return };
    let place = Place::new(|request, _, content| ranged(request, content));
    let python = |offline: &str| {
        let code =
            "from huggingface_hub import hf_hub_download as get\nfor f in ('config.json', 'model.safetensors'): print(get('org/net', f))";
        let mut command = Command::new(&python);
        command.args(["-c", code]).env("HF_HOME", &place.home).env("HF_ENDPOINT", &place.hub.url).env("HF_HUB_OFFLINE", offline);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let folder = place.pull("org/net");
    assert!(python("1").contains(folder.join("model.safetensors").to_str().unwrap()));
    fs::remove_dir_all(place.home.join("hub")).unwrap();
    python("0");
    let stored = place.storage.requests().len();
    let output = place.command(&["pull", "org/net"]).env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(PathBuf::from(text(&output.stdout).trim()), folder);
    place.assert_whole(&place.pull("org/net"));
    assert_eq!(place.storage.requests().len(), stored);
}
