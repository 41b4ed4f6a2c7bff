"""Light, vibration and tone: told apart by each sense alone, and documented as they are."""

import itertools
import re

from device.domain.indications import PATTERNS, pattern

from tests.wire_protocol.interpreters import REPOSITORY

SHORT_MS, LONG_MS = 200, 500  # At most, and at least: nobody takes one for the other.
TOGETHER_MS, APART_MS = 300, 700  # At most within a group, at least between two groups.
LIGHT, ONCE = 0, 1


def _mark(on_ms: int) -> str:
    assert on_ms <= SHORT_MS or on_ms >= LONG_MS, f"{on_ms} ms is neither short nor long"
    return "." if on_ms <= SHORT_MS else "-"


def _marks(times: tuple) -> str:
    """Return what somebody perceives: `.` short, `-` long, a space for a pause."""
    found = ""
    for place, (on_ms, off_ms) in enumerate(times, 1):
        found += _mark(on_ms)
        if place < len(times):
            assert off_ms <= TOGETHER_MS or off_ms >= APART_MS, f"{off_ms} ms in {times}"
            found += "" if off_ms <= TOGETHER_MS else " "
    return found


def _light(name: str) -> str:
    times = pattern(PATTERNS[name][LIGHT])
    if len(times) == 1 and sum(times[0]) < 1000:
        assert times[0][0] == times[0][1]
        return f"blinks {1000 / sum(times[0]):g} times a second"
    if times:
        assert times[-1][1] >= APART_MS, "it would run into itself"
    return _marks(times)


def _once(name: str) -> str:
    return _marks(pattern(PATTERNS[name][ONCE]))


def test_no_two_signs_look_alike():
    shown = {name: _light(name) for name in PATTERNS if PATTERNS[name][LIGHT]}
    assert len(set(shown.values())) == len(shown), shown
    # The rate alone tells one blinking from another: it must be twice as fast.
    rates = sorted(float(said.split()[1]) for said in shown.values() if said.startswith("blinks"))
    assert all(fast >= 2 * slow for slow, fast in itertools.pairwise(rates)), rates


def test_no_two_signs_feel_or_sound_alike():
    felt = {name: _once(name) for name in PATTERNS if PATTERNS[name][ONCE]}
    assert len(set(felt.values())) == len(felt), felt
    assert len(felt) == len(PATTERNS) - 1


def test_an_sos_that_is_open_is_never_dark():
    for step in ("open", "sent", "stored", "taken", "help"):
        assert _light(step)


def test_signs_are_documented_as_they_are():
    text = (REPOSITORY / "docs" / "firmware.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| ([^|]*) \| ([^|]*) \|$", text, re.MULTILINE)
    told = {name: (light.strip(), once.strip()) for name, light, once in rows if name in PATTERNS}
    assert told == {name: (_said(_light(name)), _said(_once(name))) for name in PATTERNS}


def _said(marks: str) -> str:
    if not marks or marks.startswith("blinks"):
        return marks or "none"
    return f"`{marks}`"
