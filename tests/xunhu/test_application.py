"""`xunhu application`: from the checkout to what devices are offered."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from storage.applications import ApplicationStore, unpack

PROJECT = Path(__file__).parents[2]


def _xunhu(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XUNHU_HOME": str(home), "PYTHONPATH": str(PROJECT)}
    return subprocess.run(
        [sys.executable, "-m", "xunhu", "application", *arguments],
        cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture(name="built", scope="module")
def fixture_built(tmp_path_factory) -> tuple[Path, Path]:
    home = tmp_path_factory.mktemp("home")
    file = home / "next.app"
    done = _xunhu(home, "build", "--board", "virtual", "-o", str(file))
    assert done.returncode == 0, done.stderr
    assert "release 1 for virtual" in done.stdout
    return home, file


def test_what_was_built_is_published_once_and_listed(built):
    home, file = built
    done = _xunhu(home, "publish", str(file))
    assert done.returncode == 0, done.stderr
    assert _xunhu(home, "list").stdout.startswith("virtual release 1 version ")
    again = _xunhu(home, "publish", str(file))
    assert (again.returncode, "is not above 1" in again.stderr) == (1, True)
    assert ApplicationStore(home / "applications").newest("virtual") == 1


def test_what_somebody_else_signed_is_not_published(built, tmp_path):
    _, file = built
    done = _xunhu(tmp_path, "publish", str(file))
    assert done.returncode == 1
    assert "was not signed by this installation" in done.stderr
    assert not ApplicationStore(tmp_path / "applications").boards()


def test_a_damaged_file_is_not_published(built, tmp_path):
    home, file = built
    damaged = tmp_path / "damaged.app"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    damaged.write_bytes(content)
    done = _xunhu(home, "publish", str(damaged))
    assert done.returncode == 1
    assert "not the one of its manifest" in done.stderr
    assert unpack(file.read_bytes())[0].board == "virtual"


def test_the_release_key_is_nobody_else_s_to_read(built):
    home, _ = built
    assert (home / "pki" / "release.key.pem").stat().st_mode & 0o077 == 0
