"""Why something crashed is kept over restarts, in bounds, and told in pieces that fit."""

import json
import subprocess

import pytest

from tests.wire_protocol.interpreters import REPOSITORY, micropythons
from wire_protocol import records

SCRIPT = """
import sys, json
sys.path[:0] = [{firmware!r}, {repository!r}]
from device.adapters.kept import Kept
from device import crashes
kept = Kept({folder!r})
said = []
for number in range(20):
    try:
        if number % 3 == 2:
            raise ValueError("\\n\\"" * 300)
        if number % 3 == 1:
            raise OSError(28, "巡护" * 100)
        [][number]
    except Exception as error:
        said.append(crashes.keep_crash(kept, number, 7, "sender", error))
told, first = [], 0
while first is not None:
    answer = crashes.lines(kept, first)
    told.append(answer)
    first = answer["next"]
print("rows", json.dumps(crashes.read(kept)))
print("said", json.dumps(said))
print("told", json.dumps(told))
with open({folder!r} + "/crashes.json", "w") as file:
    file.write("[1, [2], {{}}]")
print("spoilt", json.dumps([crashes.read(kept), crashes.lines(kept, 5)]))
"""


@pytest.mark.parametrize("name", ["wheel", "1.25-i386"])
def test_the_ring_is_bounded_and_each_piece_fits_its_message(tmp_path, name):
    folder = tmp_path / "journal"
    folder.mkdir()
    script = tmp_path / "script.py"
    script.write_text(
        SCRIPT.format(
            firmware=str(REPOSITORY / "firmware"), repository=str(REPOSITORY), folder=str(folder)
        )
    )
    done = subprocess.run(
        [micropythons()[name], str(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = dict(
        line.split(" ", 1) for line in done.stdout.splitlines()
        if line.split(" ")[0] in ("rows", "said", "told", "spoilt")
    )  # fmt: skip
    rows = json.loads(lines["rows"])
    assert [row[0] for row in rows] == list(range(20 - len(rows), 20))
    assert 4 <= len(rows) <= 8
    common = {"epoch": 1, "seq": 1, "at": 0, "clock": "none", "uptime_s": 0, "boot": 0}
    for text in json.loads(lines["said"]):
        assert "crash of sender" in text
        records.seal(common | {"kind": "report", "text": text})
    told = json.loads(lines["told"])
    assert sum(len(answer["lines"]) for answer in told) == len(rows)
    result = {"kind": "result", "command": "0" * 16, "status": "done", "reason": ""}
    for answer in told:
        records.seal(common | result | {"data": answer})
    assert json.loads(lines["spoilt"]) == [[], {"lines": [], "next": None}]
