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
cargo build --profile "$profile" --locked -p mobilenet-capi
target=${CARGO_TARGET_DIR:-target}/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}${profile/#dev/debug}
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)

install -d "$root/include" "$root/lib/pkgconfig"
install -m 644 capi/include/mobilenet.h "$root/include/"
for library in libmobilenet.so libmobilenet.dylib mobilenet.dll libmobilenet.a mobilenet.lib; do
  if [ -f "$target/$library" ]; then install -m 755 "$target/$library" "$root/lib/"; fi
done
if [ -f "$root/lib/libmobilenet.so" ]; then strip --strip-unneeded "$root/lib/libmobilenet.so"; fi

case $(uname -s) in
  Darwin) private="-framework Metal -framework QuartzCore -framework CoreFoundation -framework Foundation -lobjc" ;;
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
