# shellcheck shell=bash
# Sourced by the other scripts after vulkan.sh, in the repository's root: Rust is here, and the command-line tool is built.

# Rust itself, and the linker that it needs (which rustup does not bring).
ensure_rust() {
  if ! command -v cargo >/dev/null; then
    say "cargo is not here. Install Rust (https://rustup.rs), open a new shell and run this again."
    return 1
  fi
  if [ "$(uname -s)" = Linux ] && ! command -v cc >/dev/null; then
    say "Rust needs a linker, and there is none here."
    apt_install gcc libc6-dev
  fi
}

# Builds the tool once and names its binary in `tool`.
tool=
build_tool() {
  [ -z "$tool" ] || return 0
  ensure_rust
  cargo build --release --locked -p mobilenet-cli --bin mobilenet >&2
  # shellcheck disable=SC2034  # read by the scripts that source this file
  tool=${CARGO_TARGET_DIR:-target}/release/mobilenet
}
