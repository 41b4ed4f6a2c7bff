"""A private PostgreSQL cluster on a unix socket, run by an unprivileged user.

A cluster lives as long as the process that made it: that process holds a lock in the cluster's
folder, and whoever starts the next cluster stops and removes those whose lock nobody holds.
"""

import fcntl
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psycopg

FOLDERS = Path("/tmp")
PREFIX = "xh-pg-"
START_WAIT_S = 60
STOP_WAIT_S = 30
_TOOLS = Path(__file__).parents[2] / ".tools"
_UNPACKED = _TOOLS / "postgresql" / "root"
_PLACES = [_TOOLS / "bin", *Path("/usr/lib/postgresql").glob("*/bin")]
# The compiler of expensive queries: 140 MB that no test has a use for.
_LEFT_OUT = shutil.ignore_patterns("libLLVM*", "llvmjit*", "bitcode", "doc", "locale", "man")


class PostgresServer:
    """One cluster; every test takes a database of its own, copied from a template."""

    def __init__(self, *, durable=False):
        self._durable = durable
        remove_abandoned()
        # A socket's path holds 107 bytes at most, too few for most temporary folders of pytest.
        unlocked = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=FOLDERS))
        # Held until this process ends, however it ends; children do not inherit it.
        self._lock = _try_lock(unlocked)
        self._folder = unlocked.rename(FOLDERS / unlocked.name[1:])
        # PostgreSQL refuses to run as root.
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user:
            owner = pwd.getpwnam(self._user)
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        self._places = _PLACES
        self._environment = None
        if self._user and not _is_open_to_all(_TOOLS):
            self._copy_programs()

    def create(self):
        self._run(
            "initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8",
            "--no-locale", "--no-sync",
        )  # fmt: skip

    def start(self):
        self._run(
            "pg_ctl", "-D", str(self._data), "-w", "-t", str(START_WAIT_S),
            "-l", str(self._folder / "log"),
            "-o", f"-c listen_addresses='' -c unix_socket_directories={self._folder}"
            f" -c fsync={'on' if self._durable else 'off'} -c max_connections=60",
            "start",
        )  # fmt: skip

    def stop(self):
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def remove(self):
        self.stop()
        shutil.rmtree(self._folder)
        os.close(self._lock)

    def freeze(self):
        self._signal_all(signal.SIGSTOP)

    def thaw(self):
        self._signal_all(signal.SIGCONT)

    def new_database(self, template="template0"):
        """Create a database; return its URL."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def url(self, name):
        return f"postgresql+psycopg://postgres@/{name}?host={self._folder}"

    def execute(self, statement, database="postgres"):
        with psycopg.connect(
            f"host={self._folder} user=postgres dbname={database}", autocommit=True
        ) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    @property
    def _data(self):
        return self._folder / "data"

    def _copy_programs(self):
        """Take the programs along: nobody may start what lies in root's home."""
        root = self._folder / "programs"
        shutil.copytree(_UNPACKED, root, symlinks=True, ignore=_LEFT_OUT)
        self._places = list(root.glob("usr/lib/postgresql/*/bin"))
        libraries = {str(path.parent) for path in root.rglob("*.so*")}
        self._environment = {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(sorted(libraries))}

    def _signal_all(self, number):
        main = int((self._data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        for process in (main, *map(int, children)):
            with suppress(ProcessLookupError):  # A server process ends with its connection.
                os.kill(process, number)

    def _run(self, program, *arguments):
        path = os.pathsep.join([*map(str, self._places), os.environ.get("PATH", "")])
        found = shutil.which(program, path=path)
        assert found, f"{program} of PostgreSQL is not there: python tools/debs.py all"
        subprocess.run(
            [found, *arguments], check=True, user=self._user, cwd=self._folder,
            env=self._environment, timeout=START_WAIT_S + 10, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
        )  # fmt: skip


def remove_abandoned():
    """Stop and remove the clusters whose makers were killed."""
    for folder in FOLDERS.glob(f"{PREFIX}*"):
        lock = _try_lock(folder)
        if lock is None:
            continue
        with suppress(OSError, ValueError, IndexError):
            main = int((folder / "data" / "postmaster.pid").read_text().split()[0])
            # The number may be somebody else's by now.
            if os.fsencode(folder) in Path(f"/proc/{main}/cmdline").read_bytes():
                _end(main)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _try_lock(folder):
    """Take a cluster's lock; None when somebody has it, or the cluster is not ours to touch."""
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _end(main):
    """End a server at once (SIGQUIT), as `pg_ctl -m immediate` does."""
    for number in (signal.SIGCONT, signal.SIGQUIT):
        os.kill(main, number)
    until_s = time.monotonic() + STOP_WAIT_S
    while Path(f"/proc/{main}").exists() and time.monotonic() < until_s:
        time.sleep(0.05)


def _is_open_to_all(folder):
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))
