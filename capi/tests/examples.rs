//! The examples in C and C++ build without a warning and run: on the CPU always, on the GPU where there is one; under
//! valgrind (CPU) where it is installed.
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

/// Builds an example with every warning an error; `None` where there is no such compiler.
fn build(compiler: &str, standard: &str, source: &str) -> Option<PathBuf> {
    let compiler = std::env::var(compiler.to_uppercase().replace('+', "X")).unwrap_or_else(|_| compiler.to_string());
    if Command::new(&compiler).arg("--version").output().is_err() {
        println!("skipped: there is no {compiler} here");
        return None;
    }
    let binary = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(source.replace('.', "_"));
    let mut command = Command::new(compiler);
    command.args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-g", "-I"]).arg(folder().join("include"));
    command.arg(folder().join("examples").join(source)).arg("-L").arg(library()).arg("-lmobilenet").arg("-lm");
    command.arg(format!("-Wl,-rpath,{}", library().display())).arg("-o").arg(&binary);
    run(command);
    Some(binary)
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
    let Some(binary) = build("cc", "-std=c11", "classify.c") else { return };
    run_on_both(&binary);
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: there is no valgrind here");
        return;
    }
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite"]);
    command.arg(&binary).arg(model()).arg("cpu");
    run(command);
}

#[test]
fn cpp_owns_its_handles() {
    let Some(binary) = build("c++", "-std=c++17", "embeddings.cpp") else { return };
    run_on_both(&binary);
}
