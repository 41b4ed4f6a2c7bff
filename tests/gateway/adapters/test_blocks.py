"""Who asks for an application gets what was published, within bounds; who may not, nothing."""

from __future__ import annotations

import pytest

from gateway.adapters.blocks import DEVICE_BYTES_PER_S, WAITING_MAX, BlockDesk
from gateway.adapters.metrics import Metrics
from gateway.adapters.mqtt_connection import Incoming
from gateway.adapters.pulse import Pulse
from gateway.domain.flow import Flow
from provisioning.application import Application
from provisioning.releases import ReleaseKey, sign_application
from storage.applications import ApplicationStore, unpack
from storage.errors import StorageError
from wire_protocol import blocks, topics

SLOT = b"".join(bytes((number,)) * blocks.BLOCK_BYTES for number in range(blocks.BLOCKS_MAX))
APPLICATION = Application("virtual", "0.2.0", 1_795_000_000, "", {}, SLOT)


class Said:
    """Stands where the connection to the broker is."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes]] = []

    def publish(self, topic: str, payload: bytes) -> bool:
        self.heard.append((topic, payload))
        return True

    def pieces(self) -> list[blocks.Piece]:
        return [blocks.parse_piece(payload) for _, payload in self.heard]


class Known:
    """Stands where the registry's directory is."""

    def knows(self, device: str) -> bool:
        return device != "t-stranger"


@pytest.fixture(name="key")
def fixture_key(tmp_path) -> ReleaseKey:
    return ReleaseKey.open(tmp_path)


@pytest.fixture(name="store")
def fixture_store(tmp_path, key) -> ApplicationStore:
    store = ApplicationStore(tmp_path / "applications")
    store.publish(sign_application(APPLICATION, 7, key))
    return store


def _desk(store, bytes_per_s=1 << 30) -> tuple[BlockDesk, Metrics]:
    metrics = Metrics()
    return BlockDesk(store, Known(), metrics, Pulse(), bytes_per_s), metrics


def _ask(desk, release=0, block=blocks.MANIFEST, pieces=15, device="t-0001", board="virtual"):
    said = Said()
    payload = blocks.make_request(board, release, block, pieces)
    desk._answer(Incoming(topics.up(device, "block_request"), payload, False), said)
    return said


def test_the_newest_manifest_and_every_block_arrive(store, key):
    store.publish(sign_application(APPLICATION, 8, key))
    desk, _ = _desk(store)
    pieces = _ask(desk).pieces()
    manifest, signed, signature = blocks.parse_manifest(b"".join(p.data for p in pieces))
    assert (manifest.release, manifest.board, len(manifest.digests)) == (8, "virtual", 28)
    assert key.has_signed(signed, signature)
    for number in (0, 27):
        found = b"".join(piece.data for piece in _ask(desk, 8, number).pieces())
        assert found == SLOT[number * 4096 : (number + 1) * 4096]


def test_only_the_pieces_that_are_missing_are_sent(store):
    desk, _ = _desk(store)
    said = _ask(desk, 7, 3, pieces=0b0101)
    assert [(piece.piece, piece.block) for piece in said.pieces()] == [(0, 3), (2, 3)]
    assert {topic for topic, _ in said.heard} == {"xh/1/t-0001/down/block"}


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"board": "esp32_devkit"}, b"no application for esp32_devkit"),
        ({"release": 6, "block": 0}, b"no release 6 for virtual"),
        ({"release": 9}, b"no release 9 for virtual"),
    ],
)
def test_what_is_not_there_is_refused_with_the_reason(store, asked, says):
    desk, _ = _desk(store)
    refusal = _ask(desk, **asked).pieces()
    assert [(piece.pieces, bytes(piece.data)) for piece in refusal] == [(0, says)]


def test_a_stranger_hears_nothing(store):
    desk, metrics = _desk(store)
    assert not _ask(desk, device="t-stranger").heard
    said = Said()
    for payload in (
        b"",
        b"{",
        b'{"v":1}',
        b'{"v":1,"board":"..","release":0,"block":255,"pieces":1}',
    ):
        desk._answer(Incoming("xh/1/t-0001/up/block_request", payload, False), said)
    desk._answer(Incoming("xh/1/what/ever", b"", False), said)
    assert not said.heard
    assert metrics.blocks.labels("refused")._value.get() == 6


def test_one_device_cannot_take_everything_and_all_together_not_either(store):
    desk, metrics = _desk(store)
    answered = 0
    while _ask(desk, 7, 0).heard:
        answered += 1
    assert answered == 2 * DEVICE_BYTES_PER_S // (4 * 1032)
    assert _ask(desk, 7, 0, device="t-0002").heard
    slow, _ = _desk(store, bytes_per_s=4128)
    assert [bool(_ask(slow, 7, 0, device=f"t-{n:04}").heard) for n in range(3)] == [
        True,
        True,
        False,
    ]
    assert metrics.blocks.labels("let_go")._value.get() == 1


def test_what_waits_is_bounded(store):
    desk, metrics = _desk(store)
    for _ in range(WAITING_MAX + 3):
        desk.receive(Incoming("xh/1/t-0001/up/block_request", b"", False))
    assert metrics.let_go.labels("blocks")._value.get() == 3


def test_a_flow_fills_again_with_time_and_never_over():
    flow = Flow(100)
    assert flow.take(200, 10.0)
    assert not flow.take(1, 10.0)
    assert not flow.take(51, 10.5)
    assert flow.take(50, 10.5)
    assert flow.take(200, 1000.0)
    assert not flow.take(1, 1000.0)


def test_a_release_is_published_once_and_only_upwards(store, key, tmp_path):
    content = sign_application(APPLICATION, 7, key)
    with pytest.raises(StorageError, match="release 7 for virtual is not above 7"):
        store.publish(content)
    for spoilt in (b"", content[:-1], content[:4] + b"\0" * 4 + content[8:], b"Y" + content[1:]):
        with pytest.raises(StorageError):
            unpack(spoilt)
    flipped = bytearray(content)
    flipped[-1] ^= 1
    with pytest.raises(StorageError, match="not the one of its manifest"):
        store.publish(bytes(flipped))
    assert store.releases("virtual") == [7]
    assert [path.name for path in (tmp_path / "applications" / "virtual").iterdir()] == ["7.app"]
