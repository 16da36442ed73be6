# shellcheck shell=bash
# Sourced by the other scripts, in the repository's root: the standard library for other platforms.

# add_target TARGET: it is there, the assets' tool builds it (for machines that reach only the packages' registries),
# or rustup fetches it. Exports what cargo has to know.
add_target() {
  local target=$1 tool settings
  if [ -d "$(rustc --print target-libdir --target "$target")" ]; then return; fi
  if [ -z "${MOBILENET_TEST_ASSETS:-}" ] && [ -d ../shared ]; then MOBILENET_TEST_ASSETS=../shared; fi
  tool=${MOBILENET_TEST_ASSETS:-}/tools/wasm-target.sh
  if [ -f "$tool" ]; then
    settings=$(bash "$tool" "$target") # not inside eval, which would hide a failure
    eval "$settings"
  else
    rustup target add "$target"
  fi
}
