"""Unpacks programs from Debian packages below `.tools/`, without installing anything (ADR 0004).

    python3 tools/debs.py run      what `make run` needs: the broker
    python3 tools/debs.py test     what `make test` needs beside it
    python3 tools/debs.py all      both

The machine's own package manager downloads from the mirror it is already set to, into lists and a
cache of our own. Each program gets a start script in `.tools/bin`. Programs of the machine's own
suite use the machine's libraries and find the missing ones beside them; programs of another suite
or architecture bring all of theirs and their own dynamic loader. Only the standard library is
used: this runs before anything is installed.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

TOOLS = Path(__file__).resolve().parent.parent / ".tools"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DOWNLOAD_WAIT_S = 900
FORMAT = 1  # Raised when what is unpacked has to be made again.


class Bundle(NamedTuple):
    """Packages unpacked into one folder, and the programs to offer from it."""

    name: str
    packages: tuple[str, ...]
    programs: tuple[tuple[str, str], ...]  # (name in .tools/bin, path in the packages, or *)
    suite: str = ""  # Empty: the machine's own.
    architecture: str = ""  # Empty: the machine's own.


BROKER = Bundle("mosquitto", ("mosquitto",), (("mosquitto", "usr/sbin/mosquitto"),))
POSTGRESQL_VERSION = "15"
_PG = f"usr/lib/postgresql/{POSTGRESQL_VERSION}/bin"
TESTS = (
    Bundle(
        "postgresql",
        (f"postgresql-{POSTGRESQL_VERSION}",),
        tuple((name, f"{_PG}/{name}") for name in ("initdb", "postgres", "pg_ctl")),
    ),
    # Its own program finds the library in /usr only; `faketime -f SPEC PROGRAM` is all we need.
    Bundle("faketime", ("libfaketime",), (("faketime", "usr/lib/*/faketime/libfaketime.so.1"),)),
    Bundle("mosquitto-clients", ("mosquitto-clients",),
           tuple((name, f"usr/bin/{name}") for name in ("mosquitto_pub", "mosquitto_sub"))),
    # The broker as the next Debian has it (2.0.21): its configuration must mean the same there.
    Bundle("mosquitto-trixie", ("mosquitto",), (("mosquitto-trixie", "usr/sbin/mosquitto"),),
           "trixie", "amd64"),
    # 0.3 MB a process, for big runs; objects of the 32-bit build have exactly the chip's size.
    Bundle("micropython-1.25", ("micropython",), (("micropython-1.25", "usr/bin/micropython"),),
           "trixie", "amd64"),
    Bundle("micropython-1.25-i386", ("micropython",),
           (("micropython-1.25-i386", "usr/bin/micropython"),), "trixie", "i386"),
)  # fmt: skip
GROUPS = {"run": (BROKER,), "test": TESTS, "all": (BROKER, *TESTS)}


class ToolError(Exception):
    """A program cannot be had; the message says which and why, in one line."""


def main() -> None:
    """Fetch the bundles of the group that the command line names."""
    group = sys.argv[1] if len(sys.argv) == 2 else ""
    if group not in GROUPS:
        sys.exit(f"usage: debs.py {'|'.join(GROUPS)}")
    try:
        for bundle in GROUPS[group]:
            ensure(bundle)
    except ToolError as error:
        sys.exit(f"missing: {error}")


def ensure(bundle: Bundle) -> None:
    """Unpack a bundle and write its start scripts, unless that was done before.

    Raises:
        ToolError: The packages cannot be downloaded or unpacked.
    """
    folder = TOOLS / bundle.name
    stamp = folder / "complete"
    # The start scripts hold absolute paths: a checkout that was moved makes them again.
    wanted = hashlib.sha256(f"{FORMAT} {folder} {bundle!r}".encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"fetching {', '.join(bundle.packages)} ({bundle.suite or 'this suite'})", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    root = folder / "root"
    root.mkdir(parents=True)
    for archive in _download(bundle, folder / "apt"):
        _run(bundle, ["dpkg-deb", "-x", str(archive), str(root)])
    shutil.rmtree(folder / "apt")
    for name, path in bundle.programs:
        program = next(root.glob(path), None)
        if program is None:
            raise ToolError(f"{bundle.name}: no {path} among the packages")
        _write_start_script(TOOLS / "bin" / name, root, program, bundle)
    stamp.write_text(wanted)


def _download(bundle: Bundle, state: Path) -> list[Path]:
    mirror, own_suite = _mirror()
    suite = bundle.suite or own_suite
    architecture = bundle.architecture or _output(["dpkg", "--print-architecture"])
    for name in ("lists/partial", "archives/partial"):
        (state / name).mkdir(parents=True)
    (state / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror} {suite} main\n")
    (state / "status").touch()
    settings = {
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": state / "lists",
        "Dir::Cache::archives": state / "archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "Acquire::Retries": "5",  # A mirror that is busy for a moment is no reason to give up.
        "APT::Sandbox::User": "root",  # The sandbox user may not read below a private home.
        "Debug::NoLocking": "true",
    }
    if bundle.suite:
        # Nothing of another suite is installed here: the whole closure is downloaded.
        settings["Dir::State::status"] = state / "status"
    options = [item for key, value in settings.items() for item in ("-o", f"{key}={value}")]
    _run(bundle, ["apt-get", *options, "-qq", "update"])
    _run(bundle, ["apt-get", *options, "-qq", "-y", "--no-install-recommends", "--download-only",
                  "--reinstall", "install", *bundle.packages])  # fmt: skip
    archives = sorted((state / "archives").glob("*.deb"))
    if not archives:
        raise ToolError(f"{bundle.name}: the package manager downloaded nothing")
    return archives


def _mirror() -> tuple[str, str]:
    """Return the Debian mirror that this machine is set to, and its suite's code name."""
    release = dict(
        line.rstrip().split("=", 1)
        for line in Path("/etc/os-release").read_text().splitlines()
        if "=" in line
    )
    suite = release.get("VERSION_CODENAME", "bookworm")
    rows = _output(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"]).splitlines()
    for row in rows:
        uri, _, name = row.partition(" ")
        if name == suite:
            return uri, suite
    raise ToolError(f"no Debian mirror for {suite} in the package manager's sources")


def _write_start_script(script: Path, root: Path, program: Path, bundle: Bundle) -> None:
    folders = {path.parent for path in root.rglob("*.so*") if "/lib" in str(path)}
    libraries = ":".join(sorted(str(folder) for folder in folders))
    if program.match("*.so.*"):
        start = f'[ "$1" = -f ] && shift\nFAKETIME="$1" LD_PRELOAD="{program}"\n'
        start += 'export FAKETIME LD_PRELOAD\nshift\nexec "$@"'
    elif bundle.suite:
        loaders = sorted(root.glob("**/ld-linux*.so.2"))
        if not loaders:
            raise ToolError(f"{bundle.name}: no dynamic loader among the packages")
        start = f'exec "{loaders[0]}" --library-path "{libraries}" "{program}" "$@"'
    else:
        start = f'LD_LIBRARY_PATH="{libraries}" exec "{program}" "$@"'
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(f"#!/bin/sh\n# Written by tools/debs.py.\n{start}\n")
    script.chmod(0o755)


def _run(bundle: Bundle, command: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    try:
        result = subprocess.run(
            command, env=environment, timeout=DOWNLOAD_WAIT_S,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{bundle.name}: {error}") from error
    if result.returncode != 0:
        lines = (result.stderr or result.stdout).strip().splitlines() or ["no message"]
        raise ToolError(f"{bundle.name}: {command[0]} failed: {lines[-1]}")


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise ToolError(f"{command[0]}: {error}") from error


if __name__ == "__main__":
    main()
