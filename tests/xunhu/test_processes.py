"""Children are kept running: also one that somebody froze."""

import os
import signal
import sys
import time

import pytest

from xunhu import processes
from xunhu.processes import Child, Command

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


def tend_until(child: Child, claim, timeout_s: float = 15.0) -> None:
    until_s = time.monotonic() + timeout_s
    while not claim():
        assert time.monotonic() < until_s
        child.tend()
        time.sleep(0.02)


@pytest.fixture
def child(tmp_path):
    made = Child(Command("sleeper", SLEEPER), tmp_path)
    yield made
    made.signal(signal.SIGKILL)
    made.process.wait()


def test_killed_child_is_started_again(child):
    first = child.process
    child.signal(signal.SIGKILL)
    tend_until(child, lambda: child.process is not first)
    assert child.process.poll() is None
    assert child.restarts == 1


def test_frozen_child_is_killed_and_started_again(child, monkeypatch):
    monkeypatch.setattr(processes, "FROZEN_S_MAX", 0.3)
    first = child.process
    os.kill(first.pid, signal.SIGSTOP)
    tend_until(child, lambda: child.process is not first)
    assert first.returncode == -signal.SIGKILL
    assert child.process.poll() is None


def test_child_frozen_for_a_moment_goes_on(child, monkeypatch):
    monkeypatch.setattr(processes, "FROZEN_S_MAX", 0.3)
    first = child.process
    for _ in range(3):
        os.kill(first.pid, signal.SIGSTOP)
        for _ in range(5):
            time.sleep(0.02)
            child.tend()
        os.kill(first.pid, signal.SIGCONT)
        time.sleep(0.05)
        child.tend()
    assert child.process is first
    assert first.poll() is None
