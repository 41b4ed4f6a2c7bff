"""What real receivers sent, through the firmware's parser in real MicroPython, against gpsd."""

from __future__ import annotations

import pytest

from bench.nmea_truth import FEED, LOGS, compare, logs
from tests.wire_protocol.interpreters import micropythons, run_script

GARBAGE_BYTES = 65_536
# gpsd starts to report one epoch after the receiver's first fix in this log; GGA and RMC of that
# epoch both call it valid, so here it is one: Unix ms, and both coordinates in 1e-6 degree.
WITHOUT_ROW = {"mtk-3301": [[1_219_479_276_000, 52_216_369, 6_885_023]]}


@pytest.fixture(params=sorted(micropythons()))
def program(request):
    return micropythons()[request.param]


@pytest.fixture(params=[path.stem for path in logs()] or ["none"])
def log(request):
    if not logs():
        pytest.fail(f"the logs of real receivers are missing: no *.nmea with fixes in {LOGS}")
    return LOGS / f"{request.param}.nmea"


@pytest.mark.parametrize("seed", [1, 2])
def test_every_row_of_gpsd_is_reproduced_whatever_the_slices(program, log, seed):
    outcome = compare(log, run_script(program, FEED, str(log), str(seed), "0"))

    assert outcome.missing == []
    assert [fix[:3] for fix in outcome.extra] == WITHOUT_ROW.get(log.stem, [])


def test_garbage_between_sentences_costs_no_fix_and_is_counted(program, log):
    printed = run_script(program, FEED, str(log), "3", str(GARBAGE_BYTES))
    outcome = compare(log, printed)

    assert outcome.missing == []
    assert [fix[:3] for fix in outcome.extra] == WITHOUT_ROW.get(log.stem, [])
    counters = outcome.counters
    assert counters["garbage_bytes"] > 2 * GARBAGE_BYTES
    assert counters["broken"] > 100


def test_a_position_off_by_a_microdegree_is_noticed(log):
    printed = run_script(micropythons()["wheel"], FEED, str(log), "1", "0").splitlines()
    at_ms, lat, lon, alt, speed = printed[-2].strip("[]").split(", ")
    changed = [*printed[:-2], f"[{at_ms}, {int(lat) + 1}, {lon}, {alt}, {speed}]", printed[-1]]

    assert len(compare(log, "\n".join(changed)).missing) == 1
