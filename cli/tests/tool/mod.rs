//! Running the tool in a test: away from the user's own settings, with its output in hand.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The photo that comes with the repository.
pub const CAT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../assets/cat.png");

/// What the tool did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// The tool, with no settings but its defaults.
pub fn command<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mobilenet"));
    for variable in ["MOBILENET_MODEL", "WGPU_BACKEND", "WGPU_ADAPTER_NAME"] {
        command.env_remove(variable);
    }
    command.env("MOBILENET_CONFIG_DIR", "no settings here").env("HF_HUB_OFFLINE", "1");
    command.env("MOBILENET_CACHE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"));
    // Without it Wayland's library, which some drivers load, says so on standard error.
    command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the tool.
pub fn mobilenet<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ran {
    mobilenet_with(arguments, &[], b"")
}

/// Runs the tool with variables and standard input.
pub fn mobilenet_with<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>, environment: &[(&str, &str)], input: &[u8]) -> Ran {
    let mut child = command(arguments).envs(environment.iter().copied()).stdin(Stdio::piped()).spawn().expect("the tool starts");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let input = input.to_vec();
    // The tool may end without reading it.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("the tool ends");
    writer.join().expect("no panic here");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// Whether there must be a GPU adapter here.
pub fn needs_gpu() -> bool {
    std::env::var("MOBILENET_TEST_GPU").is_ok_and(|v| v == "require")
}

/// The folder of the large test data; `None` (say so and return) if it is not named.
pub fn assets() -> Option<PathBuf> {
    let folder = std::env::var_os("MOBILENET_TEST_ASSETS").filter(|v| !v.is_empty());
    if folder.is_none() {
        println!("skipped: MOBILENET_TEST_ASSETS names no folder of checkpoints");
    }
    folder.map(Into::into)
}

/// A folder of a test's own, removed at its end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("mobilenet-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
    pub fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }
    pub fn copy(&self, from: impl AsRef<Path>, name: &str) -> PathBuf {
        self.write(name, &std::fs::read(from).unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
