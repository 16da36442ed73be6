#!/usr/bin/env bash
# Builds the C library and lays it out for C compilers: header, shared and static library, pkg-config file.
#
#   capi/install.sh [PREFIX]     default: /usr/local; DESTDIR is put before it, as packagers expect
#
# CARGO_BUILD_TARGET   builds for another platform, as cargo does
# MOBILENET_PROFILE    cargo's profile: `library` (small, long to build), `release` or `dev`
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=${1:-/usr/local}
root=${DESTDIR:-}$prefix
profile=${MOBILENET_PROFILE:-library}
case ${CARGO_BUILD_TARGET:-$(uname -s)} in
  *darwin* | *Darwin* | *apple*) platform=apple ;;
  *android*) platform=android ;; # takes libraries from the package, by plain names
  *windows* | MINGW* | MSYS*) platform=windows ;;
  *) platform=elf ;;
esac

# Programs ask for the library by the interface's number: one that changed something for its callers stands beside the old one.
abi=$(sed -n 's/^#define MOBILENET_ABI_VERSION //p' capi/include/mobilenet.h)
[ -n "$abi" ] || { echo "capi/include/mobilenet.h names no MOBILENET_ABI_VERSION" >&2; exit 1; }
major=$((abi / 1000)) minor=$((abi % 1000))
unset MOBILENET_LINK_ARG
case $platform in
  elf) export MOBILENET_LINK_ARG=-Wl,-soname,libmobilenet.so.$major ;;
  apple) export MOBILENET_LINK_ARG=-Wl,-install_name,$prefix/lib/libmobilenet.$major.dylib ;;
esac
cargo build --profile "$profile" --locked -p mobilenet-capi
target=${CARGO_TARGET_DIR:-target}/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}${profile/#dev/debug}
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)

install -d "$root/include" "$root/lib/pkgconfig"
install -m 644 capi/include/mobilenet.h "$root/include/"
for library in libmobilenet.a mobilenet.lib mobilenet.dll; do
  if [ -f "$target/$library" ]; then install -m 644 "$target/$library" "$root/lib/"; fi
done
# The file, the name that programs ask for, and the name that the linker looks for.
shared() {
  local file=$1 name=$2 link=$3
  install -m 755 "$target/$link" "$root/lib/$file"
  rm -f "$root/lib/$name" "$root/lib/$link"
  ln -s "$file" "$root/lib/$name"
  ln -s "$name" "$root/lib/$link"
}
case $platform in
  elf)
    shared "libmobilenet.so.$major.$minor" "libmobilenet.so.$major" libmobilenet.so
    strip --strip-unneeded "$root/lib/libmobilenet.so.$major.$minor"
    ;;
  apple)
    if [ -f "$target/libmobilenet.dylib" ]; then
      shared "libmobilenet.$major.$minor.dylib" "libmobilenet.$major.dylib" libmobilenet.dylib
    fi
    ;;
  android) install -m 755 "$target/libmobilenet.so" "$root/lib/" ;;
esac

case $platform in
  apple) private="-framework Metal -framework QuartzCore -framework CoreFoundation -framework Foundation -lobjc" ;;
  *) private="-lpthread -ldl -lm" ;;
esac
cat >"$root/lib/pkgconfig/mobilenet.pc" <<EOF
prefix=$prefix
includedir=\${prefix}/include
libdir=\${prefix}/lib

Name: mobilenet
Description: MobileNet V1 and V2 on any GPU
Version: $version
Cflags: -I\${includedir}
Libs: -L\${libdir} -lmobilenet
Libs.private: $private
EOF
echo "Installed to $root (version $version)."
