"""docs/wire_protocol.md and the code say the same."""

from __future__ import annotations

import re

from tests.wire_protocol import run_vectors
from tests.wire_protocol.interpreters import REPOSITORY, VECTORS
from wire_protocol import frames, lean, sensors, topics, track

TEXT = (REPOSITORY / "docs" / "wire_protocol.md").read_text(encoding="utf-8")


def test_the_record_in_the_documentation_is_the_vector_it_names():
    lines = TEXT.split("```")[1].strip().splitlines()
    shown = "".join(re.split(r"\s{2,}", line)[0] for line in lines).replace(" ", "")

    assert shown == run_vectors.load(str(VECTORS), "envelope.json")["good"][0]["record"]


def test_the_table_of_sensors_is_the_codes():
    for code, (name, _, low, high) in enumerate(sensors.TABLE, 1):
        assert re.search(rf"\| {code} \| `{name}` \| .* \| {low:,} to {high:,} \|", TEXT), name


def test_the_table_of_topics_has_every_topic_with_its_quality_of_service():
    for way, kinds in (("up", topics.UP), ("down", topics.DOWN)):
        for kind in kinds:
            if f"`{way}/{kind}`" in TEXT.split("are reserved")[0].split("\n\n")[-1]:
                continue
            row = re.search(rf"\| `xh/1/\{{device\}}/{way}/{kind}` \| .* \| (\d) \| (.*) \|", TEXT)
            assert row, kind
            assert int(row[1]) == topics.qos(kind)
            assert row[2] == ("**yes**" if kind == "state" else "no")


def test_the_limits_are_the_code_s():
    assert f"| rows of a batch | {frames.COUNT_MAX} |" in TEXT
    assert f"| binary record | {frames.RECORD_BYTES_MAX:,} bytes |" in TEXT
    assert f"| sealed JSON record | {lean.RECORD_BYTES_MAX:,} bytes |" in TEXT
    assert (
        f"| any JSON message | {lean.MESSAGE_BYTES_MAX:,} bytes, {lean.BRACKETS_MAX} brackets |"
        in TEXT
    )


def test_the_streams_are_the_same_everywhere():
    assert lean.STREAMS == topics.STREAMS
    assert set(lean.STREAMS) <= set(topics.UP)


def test_the_widest_record_fits():
    wild = [
        track.Fix(1 + i * (1 << 26), side * 90_000_000, side * 180_000_000, 65534 - i, i % 2, i)
        for i, side in enumerate((1, -1) * 30)
    ]

    # Constant steps take no column of times, so the last one is uneven.
    wild[-1] = wild[-1]._replace(at_ms=wild[-1].at_ms + 1)
    assert len(track.encode(1, 1, 3, wild)) == 28 + 59 * 12 + 60 * 4
