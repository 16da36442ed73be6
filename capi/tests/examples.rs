//! The examples in C and C++ build without a warning and run on the CPU and on the GPU, under valgrind (CPU) and
//! AddressSanitizer (GPU). A tool that is missing is a skipped test, or with `MOBILENET_TEST_TOOLS` (CI) a failed one.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder with the shared library of this build.
fn library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let deps = test.parent().unwrap();
    let name = format!("{}mobilenet{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let folders = [deps, deps.parent().unwrap()];
    let found = folders.iter().filter(|f| f.join(&name).is_file()).max_by_key(|f| f.join(&name).metadata().unwrap().modified().unwrap());
    found.unwrap_or_else(|| panic!("{name} is not built: cargo build -p mobilenet-capi")).to_path_buf()
}

fn run(mut command: Command) -> Output {
    command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = [&output.stdout, &output.stderr].map(|t| String::from_utf8_lossy(t).into_owned()).concat();
    assert!(output.status.success(), "{command:?}: {}\n{text}", output.status);
    println!("{text}");
    output
}

/// Whether a tool is here.
fn tool(name: &str) -> bool {
    let found = Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    missing(found, name)
}

fn missing(found: bool, what: &str) -> bool {
    assert!(
        found || std::env::var_os("MOBILENET_TEST_TOOLS").is_none(),
        "{what} is not here, and MOBILENET_TEST_TOOLS says that it must be"
    );
    if !found {
        println!("skipped: there is no {what} here");
    }
    found
}

/// How an example is compiled.
struct Language {
    compiler: &'static str,
    standard: &'static str,
    source: &'static str,
}

const C: Language = Language { compiler: "cc", standard: "-std=c11", source: "classify.c" };
const CPP: Language = Language { compiler: "c++", standard: "-std=c++17", source: "embeddings.cpp" };

impl Language {
    fn compiler(&self) -> String {
        std::env::var(self.compiler.to_uppercase().replace('+', "X")).unwrap_or_else(|_| self.compiler.to_string())
    }

    /// Builds the example with every warning an error; `None` where there is no such compiler.
    fn build(&self, what: &str, more: &[&std::ffi::OsStr]) -> Option<PathBuf> {
        if !tool(&self.compiler()) {
            return None;
        }
        let binary = place(&format!("{}_{what}", self.source.replace('.', "_")));
        let mut command = Command::new(self.compiler());
        command.args([self.standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-g", "-I"]).arg(folder().join("include"));
        command.args(more).arg(folder().join("examples").join(self.source)).arg("-L").arg(library()).arg("-lmobilenet").arg("-lm");
        command.arg(format!("-Wl,-rpath,{}", library().display())).arg("-o").arg(&binary);
        run(command);
        Some(binary)
    }

    /// Builds the example with AddressSanitizer and the undefined behaviour's; `None` where they are not.
    fn build_sanitized(&self) -> Option<PathBuf> {
        let object = place(&format!("{}_keep_loaded.o", self.compiler));
        let source = folder().join("tests/keep_loaded.c");
        let compiled = Command::new("cc").args(["-Wall", "-Werror", "-c"]).arg(source).arg("-o").arg(&object).status();
        let empty = place(&format!("{}_empty.c", self.compiler));
        std::fs::write(&empty, "int main(void) { return 0; }").unwrap();
        let mut probe = Command::new(self.compiler());
        probe.arg("-fsanitize=address,undefined").arg(&empty).arg("-o").arg(place(&format!("{}_empty", self.compiler)));
        let found = compiled.is_ok_and(|s| s.success()) && probe.output().is_ok_and(|output| output.status.success());
        if !missing(found, &format!("{} with -fsanitize=address,undefined", self.compiler())) {
            return None;
        }
        self.build("sanitized", &["-fsanitize=address,undefined".as_ref(), object.as_os_str()])
    }

    fn is_clean(&self) {
        let Some(binary) = self.build("plain", &[]) else { return };
        run_on_both(&binary);
        if tool("valgrind") {
            let mut command = Command::new("valgrind");
            command.args(["--quiet", "--error-exitcode=9", "--leak-check=full"]);
            command.args(["--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"]);
            command.arg(&binary).arg(model()).arg("cpu");
            // Only our own code: the driver's loader finds none.
            command.env("VK_DRIVER_FILES", "/none").env("VK_ICD_FILENAMES", "/none");
            run(command);
        }
        if let Some(binary) = self.build_sanitized() {
            run_on_both(&binary);
        }
    }
}

fn place(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// The small network in the repository.
fn model() -> PathBuf {
    folder().join("../cli/builtin/mobilenet_v2_cifar10.safetensors")
}

fn run_on_both(binary: &Path) {
    for arguments in [&["cpu"][..], &[]] {
        let mut command = Command::new(binary);
        command.arg(model()).args(arguments);
        run(command);
    }
}

#[test]
fn c_waits_polls_and_is_called_back() {
    C.is_clean();
}

#[test]
fn cpp_owns_its_handles() {
    CPP.is_clean();
}
