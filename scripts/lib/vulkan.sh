# shellcheck shell=bash
# Sourced by the other scripts: is there a GPU driver that wgpu can use, and if not, can one be had?
#
# On Linux wgpu speaks Vulkan: it needs the loader (libvulkan.so.1) and at least one driver, which a
# JSON manifest announces. A machine without a GPU gets Mesa's software driver (llvmpipe). macOS has
# Metal and Windows DX12 (WARP where there is no GPU), both part of the system.
#
# MOBILENET_NO_INSTALL=1 forbids installing anything. Works with bash 3.2 (macOS).

# Mesa's device-select layer asks Wayland which GPU shows the desktop, and complains where there is none.
if [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then export NODEVICE_SELECT="${NODEVICE_SELECT:-1}"; fi

say() { printf '%s\n' "$*" >&2; }

# Whether the dynamic linker finds the library $1 (a path or a file name).
library_found() {
  case $1 in /*) [ -e "$1" ]; return ;; esac
  local ldconfig dir
  ldconfig=$(command -v ldconfig || echo /sbin/ldconfig)
  if [ -x "$ldconfig" ] && "$ldconfig" -p 2>/dev/null | grep -qF "$1"; then return 0; fi
  local IFS=:
  for dir in ${LD_LIBRARY_PATH:-} /usr/lib /usr/lib64 /usr/local/lib; do
    if [ -n "$dir" ] && [ -e "$dir/$1" ]; then return 0; fi
  done
  return 1
}

# The manifests of Vulkan drivers, one a line, as the loader looks for them.
vulkan_manifests() {
  local named=${VK_DRIVER_FILES:-${VK_ICD_FILENAMES:-}} dir
  if [ -n "$named" ]; then
    printf '%s\n' "$named" | tr ':' '\n'
    return
  fi
  local dirs="${XDG_CONFIG_HOME:-${HOME:-}/.config}:/etc/xdg:/etc:${XDG_DATA_HOME:-${HOME:-}/.local/share}:${XDG_DATA_DIRS:-/usr/local/share:/usr/share}"
  printf '%s\n' "$dirs" | tr ':' '\n' | while read -r dir; do
    ls "$dir"/vulkan/icd.d/*.json 2>/dev/null || true
  done
}

# A manifest whose library is not there (a container with half of a driver) does not count.
vulkan_driver_present() {
  [ "$(uname -s)" = Linux ] || return 0
  library_found libvulkan.so.1 || return 1
  local manifest library
  while read -r manifest; do
    [ -f "$manifest" ] || continue
    library=$(sed -n 's/.*"library_path"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p' "$manifest" | head -n 1)
    case $library in
      "") continue ;;
      /*) ;;
      */*) library=$(dirname "$manifest")/$library ;;
    esac
    if library_found "$library"; then return 0; fi
  done <<EOF
$(vulkan_manifests)
EOF
  return 1
}

# apt_install PACKAGE...: says what it does, with sudo where we are not root; 1 where it is not possible. Where apt_limit is
# set, looking for packages and fetching them may each take so many seconds; what is fetched is then installed in any case, as
# an installation that is cut in half would do harm.
apt_install() {
  local sudo=""
  if [ -n "${MOBILENET_NO_INSTALL:-}" ]; then
    say "Not installing $*: MOBILENET_NO_INSTALL is set."
    return 1
  fi
  if ! command -v apt-get >/dev/null; then
    say "Not installing $*: this is no Debian or Ubuntu. Install what your system calls Mesa's Vulkan drivers" \
      "(Fedora: mesa-vulkan-drivers, Arch: vulkan-swrast, Alpine: mesa-vulkan-swrast) for a software GPU."
    return 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      say "Not installing $*: not root, and there is no sudo. As root: apt-get install $*"
      return 1
    fi
    sudo="sudo"
    # Without a terminal nobody can type a password.
    if [ ! -t 0 ]; then sudo="sudo -n"; fi
  fi
  say "+ ${sudo:+$sudo }apt-get install --yes --no-install-recommends $*"
  apt_fetched "$sudo" "$@" && return 0
  say "+ ${sudo:+$sudo }apt-get update   (package lists are missing or old; then once more)"
  apt_quietly "$sudo" update && apt_fetched "$sudo" "$@"
}

# apt_fetched SUDO PACKAGE...: fetches, within the limit, and installs.
apt_fetched() {
  local sudo=$1
  shift
  if [ -n "${apt_limit:-}" ]; then apt_quietly "$sudo" install --download-only --yes --no-install-recommends "$@" || return 1; fi
  apt_limit='' apt_quietly "$sudo" install --yes --no-install-recommends "$@"
}

# apt_quietly SUDO ARGUMENTS...: apt-get, its output shown only where it fails.
apt_quietly() {
  local sudo=$1 log status=0
  shift
  log=$(mktemp)
  # shellcheck disable=SC2086  # "sudo -n" is two words, "" none
  $sudo env DEBIAN_FRONTEND=noninteractive ${apt_limit:+timeout "$apt_limit"} apt-get -qq "$@" </dev/null >"$log" 2>&1 || status=$?
  if [ "$status" -ne 0 ]; then tail -n 5 "$log" >&2; fi
  if [ "$status" -eq 124 ]; then say "  not done within $apt_limit s"; fi
  rm -f "$log"
  return "$status"
}

# 0 if there is a driver (perhaps only now), 1 if there is none and none could be installed.
ensure_vulkan() {
  vulkan_driver_present && return 0
  say "No Vulkan driver here. Installing Mesa's software driver (package mesa-vulkan-drivers), so that the shaders run on the CPU."
  apt_install mesa-vulkan-drivers && vulkan_driver_present
}
