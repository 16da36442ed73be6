# shellcheck shell=bash
# Sourced by the other scripts after vulkan.sh, in the repository's root: Node 20 or newer and npm are here.

node_is_new() { command -v node >/dev/null && [ "$(node --version | sed 's/^v\([0-9]*\).*/\1/')" -ge 20 ]; }

# The machine's own where it is new enough; else npm's package of the binary, in the target folder (Debian 12's is 18).
ensure_node() {
  local place machine
  command -v npm >/dev/null || apt_install nodejs npm
  node_is_new && return
  place=${CARGO_TARGET_DIR:-$PWD/target}/node
  case $(uname -sm) in
    "Linux x86_64") machine=linux-x64 ;;
    "Linux aarch64") machine=linux-arm64 ;;
    *) say "Node 20 or newer is not here: install it (https://nodejs.org)"; return 1 ;;
  esac
  if [ ! -x "$place/node_modules/node-$machine/bin/node" ]; then
    say "Node here is older than 20: fetching 22 into $place"
    npm install --silent --no-audit --no-fund --prefix "$place" "node-$machine@22" >&2
  fi
  PATH=$place/node_modules/node-$machine/bin:$PATH
  node_is_new
}
