"""The setup: what is missing is said in one line, what is there is used, nothing is done twice."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.official_image import OFFICIAL

REPOSITORY = Path(__file__).resolve().parent.parent
TOOLS = REPOSITORY / "tools"


@pytest.fixture
def machine(tmp_path):
    """A PATH of its own: programs are put there one by one."""
    for name in (
        "sh",
        "cat",
        "cut",
        "dirname",
        "grep",
        "mktemp",
        "rm",
        "sed",
        "sha256sum",
        "tail",
    ):
        (tmp_path / name).symlink_to(shutil.which(name))

    def put(name, script):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    def run(script, *arguments):
        return subprocess.run(
            [TOOLS / script, *arguments],
            env={"PATH": str(tmp_path), "HOME": str(tmp_path / "home")},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    return put, run


def test_a_user_without_python_is_told_what_to_install_in_one_line(machine):
    put, run = machine
    put("apt-get", "exit 1")
    put("id", "echo 1000")
    done = run("setup.sh", "run")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        "missing: python3 python3-venv (run: sudo apt-get install python3 python3-venv)\n"
    )


def test_a_machine_that_is_no_debian_is_told_so_in_one_line(machine):
    put, run = machine
    put("id", "echo 0")
    done = run("setup.sh", "run")
    assert done.returncode == 1
    assert done.stderr == (
        "missing: python3 python3-venv (this is no Debian; install them by hand)\n"
    )


def test_a_failed_installation_gives_the_package_managers_reason_in_one_line(machine):
    put, run = machine
    put("id", "echo 0")
    put("apt-get", 'echo "E: Unable to locate package $5" >&2; [ "$1" = update ]')
    done = run("setup.sh", "run")
    assert done.returncode == 1
    assert done.stderr.startswith("missing: python3 python3-venv (E: Unable to locate package")
    assert done.stderr.count("\n") == 1


def test_a_python_that_is_too_old_is_named(machine):
    put, run = machine
    put("python3", 'case "$*" in *version_info*) exit 1 ;; -V) echo Python 3.9.2 ;; esac')
    done = run("setup.sh", "run")
    assert done.returncode == 1
    assert done.stderr == "missing: Python 3.11 or later (python3 here is Python 3.9.2)\n"


def test_a_second_setup_does_nothing_and_says_nothing():
    done = subprocess.run(
        [TOOLS / "setup.sh", "run"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_influxd_on_the_path_is_taken_as_it_is(machine, tmp_path):
    put, run = machine
    put("influxd", "exit 0")
    done = run("influxd.sh")
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'influxd'}\n")


def test_an_influxd_built_before_is_taken_again(machine, tmp_path):
    _, run = machine
    built = tmp_path / "home/.cache/xunhu/influxd-2.7.12/influxd"
    built.parent.mkdir(parents=True)
    built.touch(mode=0o755)
    done = run("influxd.sh")
    assert (done.returncode, done.stdout) == (0, f"{built}\n")


@pytest.mark.parametrize("go", [None, "go version go1.19.8 linux/amd64"])
def test_without_compilers_there_is_no_influxd_and_a_reason(machine, go):
    put, run = machine
    put("cargo", "exit 0")
    put("cc", "exit 0")
    if go:
        put("go", f"echo {go}")
    done = run("influxd.sh")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.count("\n") == 1
    assert "go 1.24" in done.stdout


def test_node_of_pypi_serves_where_the_machine_has_none(machine, tmp_path):
    _, run = machine
    (tmp_path / "env").symlink_to(shutil.which("env"))
    done = run("npm.sh", "--version")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split(".")[0]) >= 10


@pytest.mark.parametrize("name", ["micropython-1.25", "micropython-1.25-i386", "mosquitto"])
def test_what_was_unpacked_starts(name):
    script = REPOSITORY / ".tools" / "bin" / name
    arguments = ["-h"] if name == "mosquitto" else ["-c", "import sys; print(sys.version)"]
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [script, *arguments],
        env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    expected = "mosquitto version" if name == "mosquitto" else "MicroPython v1.25"
    assert expected in done.stdout + done.stderr


def test_the_faked_time_reaches_micropython():
    folder = REPOSITORY / ".tools" / "bin"
    program = [folder / "micropython-1.25", "-c", "import time; print(time.gmtime()[0])"]
    done = subprocess.run(
        [folder / "faketime", "-f", "@2031-05-04 00:00:00", *program],
        env={"PATH": os.environ["PATH"], "TZ": "UTC"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout == "2031\n", done.stderr


def test_no_lock_file_names_a_registry_or_lacks_a_hash():
    for path in REPOSITORY.glob("requirements*.lock"):
        text = path.read_text()
        assert "://" not in text
        assert "--index-url" not in text
        packages = [line for line in text.splitlines() if line[:1].isalnum()]
        assert packages
        assert text.count("--hash=sha256:") >= len(packages)


@pytest.fixture(name="checkout")
def fixture_checkout(tmp_path):
    """A checkout in which every check and test passes at once, without InfluxDB and image."""
    folder = tmp_path / "checkout"
    (folder / "tools").mkdir(parents=True)
    (folder / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(REPOSITORY / "tools" / "test.sh", folder / "tools")
    for name, text in {
        "tools/check.sh": "exit 0", ".venv/bin/python": "exit 0",
        "tools/influxd.sh": "echo no compilers; exit 1",
    }.items():  # fmt: skip
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return folder


def run_tests(checkout, **environment):
    return subprocess.run(
        [checkout / "tools" / "test.sh"], capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], **environment},
    )  # fmt: skip


def test_the_last_line_says_what_could_not_be_tested(checkout):
    done = run_tests(checkout)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == (
        "InfluxDB was not tested: no compilers; the official MicroPython image was not tested: "
        f"there is no ../shared/esp32/{OFFICIAL.name}"
    )


def test_the_last_line_says_nothing_when_all_was_tested(checkout):
    image = checkout.parent / "shared" / "esp32" / OFFICIAL.name
    image.parent.mkdir(parents=True)
    image.touch()
    done = run_tests(checkout, XUNHU_TEST_INFLUX_URL="http://127.0.0.1:1", XUNHU_DEMAND_IMAGE="1")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", ["INFLUX", "IMAGE"])
def test_what_is_demanded_and_missing_is_a_failure(checkout, name):
    done = run_tests(checkout, **{f"XUNHU_DEMAND_{name}": "1"})
    assert done.returncode == 1
    assert done.stderr.startswith("missing: ")


def test_ci_demands_both():
    text = (REPOSITORY / ".ci" / "run").read_text()
    assert "XUNHU_DEMAND_INFLUX=1 XUNHU_DEMAND_IMAGE=1" in text
