# shellcheck shell=bash
# Sourced by the other scripts, in the repository's root: builds the command-line tool.

# Builds the tool once and names its binary in `tool`.
tool=
build_tool() {
  [ -z "$tool" ] || return 0
  if ! command -v cargo >/dev/null; then
    printf '%s\n' "cargo is not here. Install Rust (https://rustup.rs), open a new shell and run this again." >&2
    return 1
  fi
  cargo build --release --locked -p mobilenet-cli --bin mobilenet >&2
  # shellcheck disable=SC2034  # read by the scripts that source this file
  tool=${CARGO_TARGET_DIR:-target}/release/mobilenet
}
