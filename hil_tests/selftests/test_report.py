"""What the report shows: expected beside seen, and what ran on what."""

import json
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from hil_tests.board import Firmware
from hil_tests.record import Record, Row
from hil_tests.report import Result, as_html, write


@pytest.fixture
def record():
    return Record(
        scenario="sos",
        title="SOS <with> no link",
        board="left",
        device="t-0001",
        firmware=Firmware("0.1.0", "abc123", "esp32_devkit"),
        seconds=12.5,
        rows=[
            Row("stored", "event sos", 1.0, 5.0, 2.5, ""),
            Row("told", "screen SOS STORED", 1.0, 5.0, None, "not seen"),
            Row("later", "case sos", None, None, None, "told did not happen"),
        ],
        done=[(1.0, "press sos")],
        seen=[(2.5, "event {'kind': 'sos'}")],
        account=["('event', 1, 2) was sealed and is not stored"],
        notes=["an earlier run left a case open: sos; closed"],
    )


class Texts(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.text, self.styles = "", []
        self.feed(page)

    def handle_data(self, data):
        self.text += data + " "

    def handle_starttag(self, _tag, attrs):
        self.styles += [value for name, value in attrs if name == "style"]


def test_a_record_says_everything_that_is_wrong(record):
    assert record.problems() == [
        "told: screen SOS STORED: not seen, due 1.0..5.0 s",
        "later: case sos: told did not happen",
        "('event', 1, 2) was sealed and is not stored",
    ]
    assert record.timeline().splitlines() == [
        "  before   an earlier run left a case open: sos; closed",
        "    1.00 s -> press sos",
        "    2.50 s    event {'kind': 'sos'}",
    ]


def test_a_record_crosses_between_processes(record):
    assert Record.from_data(json.loads(json.dumps(record.as_data()))) == record


def test_the_page_shows_expected_beside_seen(record):
    page = Texts(as_html({"commit": "0123456789ab"}, [Result("s", "failed", 9, "no <b>", record)]))
    for words in ("0 passed, 1 failed, 0 not on this rig", "0123456789ab", "SOS <with> no link",
                  "1.0 to 5.0", "2.5", "not seen", "told did not happen", "no <b>",
                  "was sealed and is not stored", "left a case open: sos"):  # fmt: skip
        assert words in page.text
    # The longest time on this line is 5 s: due from 20 % on, seen at half of it.
    assert "left:20.00%;width:80.00%" in page.styles
    assert "left:50.00%" in page.styles


def test_junit_counts_and_names_firmware_board_and_commit(record, tmp_path):
    results = [
        Result("good", "passed", 1.0, "", record),
        Result("bad", "failed", 2.0, "it\x1b[31m broke\nbadly", record),
        Result("other", "skipped", 0.0, "board left has no light"),
    ]
    write(tmp_path / "report", "my rig", results)
    suite = ET.parse(tmp_path / "report" / "junit.xml").getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    facts = {p.get("name"): p.get("value") for p in suite.iter("property")}
    assert facts["rig"] == "my rig"
    assert facts["firmware"] == "0.1.0 (abc123) for esp32_devkit"
    assert facts["boards"] == "left"
    assert len(facts["commit"].removesuffix("+")) == 12
    failure = suite.find("testcase[@name='bad']/failure")
    assert failure.get("message") == "it[31m broke"
    assert "press sos" in suite.find("testcase[@name='good']/system-out").text
    assert "board left" in suite.find("testcase[@name='other']/skipped").text
    assert (tmp_path / "report" / "report.html").read_text().startswith("<!doctype html>")
