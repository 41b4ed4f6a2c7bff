"""The command `xunhu` as its users type it, beside a demo that runs."""

import json
import re
import subprocess
import sys
import urllib.error
from pathlib import Path

import pytest

from tests.system.installation import PROJECT, Installation, started, wait_for
from wire_protocol import clock, frames, track

PROGRAM = Path(sys.executable).parent / "xunhu"
CSV = """id,name,area_code,wearer
t-0101,渡口,,Lin
s-0101,Mill smoke,,
"""
CSV_WRONG = """id,name,area_code,wearer
t-0102,,,
boat-1,,,
t-0101,again,,
"""


@pytest.fixture(name="demo", scope="module")
def fixture_demo(tmp_path_factory):
    with started(tmp_path_factory.mktemp("home"), "--terminals", "1", "--sensors", "1") as running:
        wait_for("both are online", lambda: running.online() == 2)
        yield running


def xunhu(demo: Installation, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *words], cwd=PROJECT, env=demo.environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def said(demo: Installation, *words: str) -> str:
    done = xunhu(demo, *words)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def listed(demo: Installation, *options: str) -> dict[str, list[str]]:
    rows = [line.split("\t") for line in said(demo, "device", "list", *options).splitlines()]
    return {row[0]: row[1:] for row in rows}


def test_a_press_is_a_case_and_show_says_what_the_wearer_sees(demo):
    assert said(demo, "press", "sos", "t-0001") == "t-0001: sos pressed\n"
    [case] = wait_for("the case", lambda: demo.items("/cases?open=1"))
    assert (case["device"], case["kind"]) == ("t-0001", "sos")
    wait_for("it is stored", lambda: "SOS STORED" in said(demo, "show", "t-0001"))
    shown = json.loads(said(demo, "show", "t-0001"))
    assert shown["screen"][0].endswith("online")
    demo.close_cases()


def test_a_sensor_is_set_and_a_network_is_cut_and_given_back(demo):
    assert said(demo, "set", "s-0001", "smoke", "600") == "s-0001: smoke = 600\n"
    [case] = wait_for("the alarm", lambda: demo.items("/cases?open=1"))
    assert case["kind"] == "alarm:smoke"
    said(demo, "set", "s-0001", "smoke", "20")
    demo.close_cases()
    said(demo, "link", "t-0001", "down")
    wait_for("it is gone", lambda: demo.online() == 1)
    said(demo, "link", "t-0001", "up")
    wait_for("it is back", lambda: demo.online() == 2)


def test_devices_are_added_imported_listed_and_retired(demo, tmp_path):
    assert said(demo, "device", "add", "t-0100", "--name", "Bridge", "--wearer", "王芳") == (
        "t-0100 added (terminal)\n"
    )
    (tmp_path / "new.csv").write_text(CSV)
    assert said(demo, "device", "import", str(tmp_path / "new.csv")) == "2 added, 0 refused\n"
    found = listed(demo)
    assert {"t-0001", "s-0001"} < set(found)
    assert found["t-0100"] == ["terminal", "Bridge", "", "王芳", ""]
    assert found["t-0101"] == ["terminal", "渡口", "", "Lin", ""]
    assert found["s-0101"] == ["sensor_node", "Mill smoke", "", "", ""]
    # The command room has them, too.
    assert {"t-0100", "t-0101", "s-0101"} < {row["id"] for row in demo.items("/devices")}

    assert said(demo, "device", "retire", "t-0100") == "t-0100 retired\n"
    assert "t-0100" not in listed(demo)
    assert listed(demo, "--retired")["t-0100"][-1] == "retired"

    (tmp_path / "wrong.csv").write_text(CSV_WRONG)
    done = xunhu(demo, "device", "import", str(tmp_path / "wrong.csv"))
    assert (done.returncode, done.stdout) == (1, "1 added, 2 refused\n")
    lines = done.stderr.splitlines()
    assert [line[:8] for line in lines] == ["line 3: ", "line 4: ", "xunhu: 2"]
    assert "boat-1" in lines[0]
    assert "t-0101" in lines[1]


def test_a_reset_password_is_the_only_one_that_signs_in(demo):
    old = demo.password
    name, new = said(demo, "user", "reset", "demo").split()
    assert (name, new != old) == ("demo", True)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        demo.items("/devices")  # The session ended with the old password.
    with pytest.raises(urllib.error.HTTPError, match="401"):
        demo.call("POST", "/session", {"name": "demo", "password": old})
    demo.call("POST", "/session", {"name": "demo", "password": new})
    assert demo.items("/devices")


def test_a_frame_is_explained_in_words(demo, tmp_path):
    fixes = [track.Fix(1_767_225_600_000, 30_274_085, 120_155_070, 118, 320, 4)]
    frame = frames.envelope(5, track.encode(7, 5, clock.GNSS, fixes))
    (tmp_path / "frame").write_bytes(frame)
    text = said(demo, "wire", "decode", "--topic", "xh/1/t-0001/up/track", frame.hex())
    assert "30.274085" in text
    assert "120.155070" in text
    assert "BAD" not in text
    assert said(
        demo, "wire", "decode", "--topic", "xh/1/t-0001/up/track", "--file",
        str(tmp_path / "frame"),
    ) == text  # fmt: skip


_ID_LIMITS = r"not t-\.\.\. or s-\.\.\., 3\.\.32 of a-z 0-9 -"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("press fire t-0001", 2, r"'fire' is not one of 'sos', 'duty', 'ok'. \(xunhu press --h"),
        ("press sos", 2, r"Missing argument 'DEVICE'\. \(xunhu press --help\)"),
        ("press sos t-0404", 1, r"t-0404 does not run here"),
        ("press sos ../x", 1, rf"device id '\.\./x', {_ID_LIMITS}"),
        ("set ../s-0001 smoke 5", 1, rf"device id '\.\./s-0001', {_ID_LIMITS}"),
        ("show t-0001/../t-0001", 1, rf"device id 't-0001/\.\./t-0001', {_ID_LIMITS}"),
        (f"link t-{'0' * 31} up", 1, rf"device id 't-0+', {_ID_LIMITS}"),
        ("device retire T-0001", 1, rf"device id 'T-0001', {_ID_LIMITS}"),
        ("set s-0001 nose 5", 1, r"s-0001 has no sensor 'nose'; it has .*smoke"),
        ("set t-0001 smoke 5", 1, r"t-0001 has no sensor 'smoke'; it has none"),
        ("set s-0001 smoke 10001", 1, r"10001.*0\.\.10000"),
        ("device add boat-1", 1, r"device id 'boat-1', not t-\.\.\. or s-\.\.\."),
        ("device add t-0001", 1, r"t-0001 exists already"),
        ("device retire t-0404", 1, r"there is no device 't-0404'"),
        ("user reset nobody", 1, r"[Tt]here is no user nobody"),
        ("wire decode zz", 1, r"'zz' is no JSON, no hexadecimal and no base64"),
        ("up --gateways 17", 2, r"17 is not in the range 1<=x<=16"),
        ("sing", 2, r"No such command 'sing'\. \(xunhu --help\)"),
    ],
)
def test_what_is_wrong_is_said_in_one_clear_line(demo, words, code, says):
    done = xunhu(demo, *words.split())
    assert (done.returncode, done.stdout) == (code, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("xunhu: ")
    assert re.search(says, line)
