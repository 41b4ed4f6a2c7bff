#!/bin/sh
# Brings what the machine lacks: tools/setup.sh run|test. Does nothing the second time.
# What cannot be had is said in one line that begins with "missing:".
set -eu
cd "$(dirname "$0")/.."
group=$1

# Packages without side effects are installed the ordinary way; only root can.
install() {
    command -v apt-get >/dev/null || { echo "missing: $* (this is no Debian; install them by hand)" >&2; exit 1; }
    if [ "$(id -u)" != 0 ]; then
        echo "missing: $* (run: sudo apt-get install $*)" >&2
        exit 1
    fi
    log=$(mktemp)
    if ! { apt-get -o Acquire::Retries=5 update &&
        DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=5 install -y --no-install-recommends "$@"; } >"$log" 2>&1; then
        echo "missing: $* ($(grep '^E:' "$log" | tail -n 1))" >&2
        exit 1
    fi
    rm -f "$log"
}

wanted=""
python3 -c 'import ensurepip, venv' 2>/dev/null || wanted="python3 python3-venv"
if [ "$group" = test ]; then
    command -v chromium >/dev/null || wanted="$wanted chromium"
    # Playwright's own Node needs it.
    [ -n "$(find /usr/lib /lib -name libatomic.so.1 2>/dev/null | head -n 1)" ] || wanted="$wanted libatomic1"
    # Chinese texts in the browser tests' screenshots.
    [ -n "$(find /usr/share/fonts -name 'wqy-microhei*' 2>/dev/null | head -n 1)" ] || wanted="$wanted fonts-wqy-microhei"
fi
# shellcheck disable=SC2086 - a list of words
[ -z "$wanted" ] || install $wanted
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "missing: Python 3.11 or later (python3 here is $(python3 -V))" >&2
    exit 1
}

lock=requirements.lock
[ "$group" = test ] && lock=requirements-dev.lock
# The development lock holds everything of the other one: a stamp of it is good for both. The
# path is part of it: a venv does not survive being moved.
stamp() { { pwd && cat "$1"; } | sha256sum | cut -d ' ' -f 1; }
have=$(cat .venv/complete 2>/dev/null || true)
if [ "$have" != "$(stamp $lock)" ] && [ "$have" != "$(stamp requirements-dev.lock)" ]; then
    echo "installing Python packages ($lock)"
    # Only one that was moved is made anew: a running demo may be using it.
    grep -qF "$(pwd)/.venv/" .venv/bin/pip 2>/dev/null || rm -rf .venv
    python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check --retries 10 --timeout 60 \
        --require-hashes -r $lock || {
        echo "missing: Python packages of $lock (pip could not install them, see above)" >&2
        exit 1
    }
    # The checkout itself, importable from anywhere the venv's Python starts.
    site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    pwd >"$site/xunhu.pth"
    printf '#!/bin/sh\nexec "%s/.venv/bin/python" -m xunhu "$@"\n' "$(pwd)" >.venv/bin/xunhu
    chmod +x .venv/bin/xunhu
    stamp $lock >.venv/complete
fi

python3 tools/debs.py run
tools/console.sh

if [ "$group" = test ]; then
    python3 tools/debs.py test
fi
