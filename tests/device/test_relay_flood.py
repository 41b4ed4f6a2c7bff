"""A neighbour that says more than anybody can carry, and the SOS of whoever hears it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from tests.device.test_terminal import gateway, terminal  # noqa: F401 - fixtures
from wire_protocol import relay

if TYPE_CHECKING:
    from tests.device.gateway_sim import Gateway

FRAMES = 400


def _frame(number: int) -> str:
    """A frame that nobody can refuse by its header, as anybody can make it."""
    head = relay.header(relay.SOS, b"neighbor")
    return (head + number.to_bytes(relay.IV_BYTES, "little") + os.urandom(64)).hex()


def _carried(gateway: Gateway) -> list[bytes]:  # noqa: F811
    """Return the list to which every relayed frame is added that reaches the broker."""
    carried: list[bytes] = []
    hear = gateway._listener._also

    def also(topic: str, payload: bytes) -> None:
        if topic.endswith("/up/relay"):
            carried.append(payload)
        elif payload != b"{}":
            hear(topic, payload)

    gateway._listener._also = also
    return carried


def test_a_flood_of_frames_is_carried_in_part_and_never_before_our_own_sos(
    terminal,  # noqa: F811
    gateway,  # noqa: F811
):
    terminal.on(config={"relay": True})
    gateway.wait_state(lambda state: state["online"], "online")
    carried = _carried(gateway)
    began = time.monotonic()
    for number in range(FRAMES // 2):
        terminal.micropython.tell(do="frame", hex=_frame(number))
    terminal.micropython.tell(do="eval", code="station.kind.raise_sos('button')")
    for number in range(FRAMES // 2, FRAMES):
        terminal.micropython.tell(do="frame", hex=_frame(number))
    gateway.wait_event("sos")
    took_s = time.monotonic() - began
    assert took_s < 10
    gateway.wait(lambda: len(carried) >= 4, "those that are carried at once")
    assert len(carried) <= 4 + time.monotonic() - began + 1
    # It goes on carrying, one a second.
    for number in range(FRAMES, FRAMES + 20):
        terminal.micropython.tell(do="frame", hex=_frame(number))
        time.sleep(0.2)
    taken_s = time.monotonic() - began
    assert 5 <= len(carried) <= 4 + taken_s + 1


def test_whatever_neighbours_say_at_once_our_own_sos_finds_room_in_the_link(terminal, gateway):  # noqa: F811
    terminal.on(config={"relay": True})
    gateway.wait_state(lambda state: state["online"], "online")
    terminal.wait_delivered()
    _carried(gateway)
    # In one go: the link writes nothing in between, and nothing is acknowledged.
    take = "__import__('device.services.relay', None, None, ('take',)).take"
    frames = [_frame(number) for number in range(12)]
    said = f"[{take}(station, bytes.fromhex(frame)) for frame in {frames!r}]"
    post = "station.link.publish('event', b'{}', 1, ('event', 0, 1), True)"  # As the sender does.
    assert terminal.ask(f"({said}, len(station.link._outbox), {post})")[1:] == [2, True]
