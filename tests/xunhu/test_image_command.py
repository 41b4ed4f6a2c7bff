"""`xunhu image`, as it is typed: what it makes, and what it warns of."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from provisioning.authority import Authority
from provisioning.nvs import read_nvs
from provisioning.partitions import FLASH_BYTES, partition
from tests.official_image import OFFICIAL, needs_official
from tests.system.installation import PROJECT

pytestmark = needs_official


def _image(home: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str, str]:
    """Compose as docs/flashing.md says; returns the file and what was printed."""
    monkeypatch.setenv("XUNHU_HOME", str(home))
    output = home.parent / "flash.bin"
    command = [
        sys.executable, "-m", "xunhu", "image", "--board", "esp32_devkit",
        "--micropython", str(OFFICIAL), "--wifi", "village:12345678",
        "--wifi", "market", "--apn", "internet.example", "--relay",
        "--broker", "192.0.2.10:8883", "--broker-name", "broker.example",
        "--device", "t-0100", "-o", str(output),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return output, done.stdout, done.stderr


def test_the_image_is_whole_and_nobody_else_can_read_it(tmp_path, monkeypatch):
    home = tmp_path / "home"
    output, said, _ = _image(home, monkeypatch)
    content = output.read_bytes()
    assert len(content) == FLASH_BYTES
    place = partition("nvs")
    held = read_nvs(content[place.address : place.end])
    assert held["id"] == b"t-0100"
    config = json.loads(held["config"])
    assert config["networks"] == [["village", "12345678"], ["market", ""]]
    assert (config["apn"], config["relay"]) == ("internet.example", True)
    for private in (output, home):
        assert stat.S_IMODE(private.stat().st_mode) & 0o077 == 0
    # What it says to type next can be typed.
    program = said.split("write it with: ")[1].split()[0]
    assert subprocess.run([program, "version"], capture_output=True, check=False).returncode == 0


def test_a_name_that_the_broker_does_not_have_is_said(tmp_path, monkeypatch):
    home = tmp_path / "home"
    authority = Authority.create(home)
    assert "no name yet" in _image(home, monkeypatch)[2]
    authority.issue_broker(["elsewhere.example", "127.0.0.1"])
    warning = _image(home, monkeypatch)[2]
    assert "elsewhere.example, 127.0.0.1" in warning
    assert "--name broker.example" in warning
    authority.issue_broker(["broker.example", "127.0.0.1"])
    assert _image(home, monkeypatch)[2] == ""
