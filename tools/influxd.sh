#!/bin/sh
# Prints the path of an InfluxDB 2 for the tests: the machine's own, or one built from source.
#
# Built once for all checkouts, in minutes, where go (1.24 or later), cargo and a C compiler are
# there. Otherwise it fails and prints why there is none.
set -eu
cd "$(dirname "$0")/../tests/influxd"

command -v influxd && exit 0

cache=${XDG_CACHE_HOME:-$HOME/.cache}/xunhu/influxd-2.7.12
if [ -x "$cache/influxd" ]; then
    echo "$cache/influxd"
    exit 0
fi

go=$(go version 2>/dev/null | sed -n 's/^go version go1\.\([0-9]*\).*/\1/p')
if [ "${go:-0}" -lt 24 ] || ! command -v cargo >/dev/null || ! command -v cc >/dev/null; then
    echo "no influxd on the path, and go 1.24, cargo and cc to build it are not all there"
    exit 1
fi

echo "building InfluxDB 2.7.12 (some minutes, once)" >&2
mkdir -p "$cache"
# Several checkouts may ask at the same time: the first one builds.
exec 9>"$cache/lock"
flock 9
[ -x "$cache/influxd" ] && { echo "$cache/influxd"; exit 0; }

# Newer compilers warn about this version's Rust, which takes warnings for errors.
cat >"$cache/rustc" <<'WRAPPER'
#!/bin/sh
exec "$@" --cap-lints=allow
WRAPPER
chmod +x "$cache/rustc"
export CARGO_NET_RETRY=10
export GOTOOLCHAIN=local GOFLAGS=-mod=readonly RUSTUP_TOOLCHAIN=stable
export RUSTC_WRAPPER="$cache/rustc" PKG_CONFIG="$cache/pkg-config"
build() {
    go build -o "$PKG_CONFIG" github.com/influxdata/pkg-config &&
        go build -tags sqlite_foreign_keys,sqlite_json -o "$cache/influxd.new" \
            github.com/influxdata/influxdb/v2/cmd/influxd
}
# Again, because a registry that is busy for a moment is no reason to give up; what was fetched and
# compiled the first time is there.
if { build || build; } >"$cache/build.log" 2>&1; then
    mv "$cache/influxd.new" "$cache/influxd"
    echo "$cache/influxd"
else
    tail -n 20 "$cache/build.log" >&2
    echo "its build failed, see $cache/build.log"
    exit 1
fi
