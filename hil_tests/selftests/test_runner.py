"""That a run can fail: tolerances, what must never be seen, an account that does not add up."""

import dataclasses
import random

import pytest
from device.domain.nmea import NmeaParser

from hil_tests.account import Account
from hil_tests.receiver import fix, garbage, no_fix, position, sentence
from hil_tests.rig import OpenRig
from hil_tests.rig_file import BoardSpec, Rig
from hil_tests.scenario_file import Expectation, Trace, load_scenarios
from hil_tests.scenario_folder import FOLDER

KEY = ("event", 7, 1)


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    boards = (BoardSpec("one", "virtual", "terminal", copies=2),)
    with OpenRig(Rig("small", boards), tmp_path_factory.mktemp("rig")) as opened:
        yield opened


def test_what_is_late_early_missing_or_forbidden_fails(rig):
    (scenario,) = load_scenarios(FOLDER / "sos_without_link.toml")
    wrong = dataclasses.replace(
        scenario,
        limit_s=15,
        expectations=(
            *scenario.expectations[:1],
            Expectation("early", "pressed", 2.0, 5.0, "screen", "SOS OPEN"),
            Expectation("late", "pressed", 0.0, 0.1, "screen", "SOS OPEN"),
            Expectation("missing", "pressed", 0.0, 3.0, "screen", "HELP IS HERE"),
            Expectation("forbidden", "pressed", 0.0, 3.0, "screen", "SOS OPEN", never=True),
            Expectation("twice", "link_back", 0.0, 8.0, "event", "sos", {"press": 1}, times=2),
            Expectation("waits", "missing", 0.0, 3.0, "case", "sos"),
        ),
    )
    record = rig.run(wrong)
    problems = {row.name: row.problem for row in record.rows}
    assert problems == {
        "latched": "",
        "early": "too early",
        "late": "not seen",
        "missing": "not seen",
        "forbidden": "seen",
        "twice": "seen 1 times, not 2",
        "waits": "missing did not happen",
    }
    assert record.account == []
    assert len(record.problems()) == 6


def account(**more):
    whole = {"sealed": {KEY: 1}, "stored": {KEY: 1}, "doubled": [], "dropped": [], "held": 0}
    return Account(**whole | more)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"stored": {}}, "was sealed and is not stored"),
        ({"doubled": [KEY]}, "is stored twice"),
        ({"sealed": {}}, "is stored and was never sealed"),
        ({"sealed": {KEY: 2}}, "is stored in another shape than sealed"),
        (
            {"sealed": {KEY: 1, ("event", 7, 3): 1}, "stored": {KEY: 1, ("event", 7, 3): 1}},
            "holes",
        ),
        ({"sealed": None, "held": 3}, "still holds 3 records"),
        ({"fixes": [(100, 1, 2)]}, "was never said by the receiver"),
    ],
)
def test_an_account_that_does_not_add_up_is_said(more, says):
    (problem,) = account(**more).problems(fed=set())
    assert says in problem


def test_an_account_that_adds_up_is_well():
    assert account().problems(fed=set()) == []
    dropped = account(stored={}, dropped=[("event", 7, 1, 1)])
    assert dropped.problems(fed=set()) == []
    assert account(fixes=[(100, 1, 2)]).problems(fed={(100, 1, 2)}) == []
    assert account(fixes=[(100, 1, 2)]).problems(fed=set(), since_s=101) == []
    # Pulled in the moment between the flash and the witness.
    assert account(sealed={}).problems(fed=set(), pulls=1) == []


def test_the_receiver_says_what_the_parser_under_test_reads():
    parser = NmeaParser()
    data = fix(1_790_000_000, -30_274_085, 120_155_070, speed_cms=120)
    data += fix(1_790_000_001, 1, -179_999_999)
    found = [*parser.feed(data, len(data)), parser.flush()]
    assert [(f.at_ms, f.lat_e6, f.lon_e6) for f in found if f] == [
        (1_790_000_000_000, -30_274_085, 120_155_070),
        (1_790_000_001_000, 1, -179_999_999),
    ]
    tunnel = no_fix(1_790_000_002)
    assert parser.feed(tunnel, len(tunnel)) == []
    assert parser.flush() is None


def test_garbage_is_the_same_for_a_seed_and_never_a_position():
    first, second = random.Random(5), random.Random(5)
    parser = NmeaParser()
    for _ in range(300):
        data = garbage(first)
        assert data == garbage(second)
        assert parser.feed(data, len(data)) == []
    assert parser.flush() is None


def test_a_trace_is_straight_lines_and_stays_at_its_end():
    trace = Trace(((0.0, 0, 0), (10.0, 100, -100)), None, "fix")
    assert [position(trace, at_s) for at_s in (-1, 0, 5, 10, 99)] == [
        (0, 0), (0, 0), (50, -50), (100, -100), (100, -100),
    ]  # fmt: skip
    # The sentence that every description of NMEA 0183 shows.
    shown = "GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,"
    assert sentence(shown).endswith(b",M,,*47\r\n")
