"""The one connection to the broker: MQTT 3.1.1 over mutual TLS, brought back for ever.

`Link.run` is the only task that opens and closes the connection. While it is up two tasks of its
own live beside it, one reads, one writes; whatever fails in either ends in `_fail`, the one way
down. Everybody else only posts: `publish` never waits and never touches the socket.
"""

import asyncio

from device.adapters.mqtt_wire import Wire
from device.domain import mqtt_packets as packets
from device.errors import DeviceError, PeerError
from device.late import forget, make_once

KEEPALIVE_S = 120
SENT_GAP_MS = 100_000  # A ping after this long without a word of ours; below the keepalive.
HEARD_GAP_MS = 290_000  # And after this long without a word of the broker's.
URGENT_GAP_MS = 15_000  # While an SOS is open a dead connection must show soon.
ANSWER_MS = 10_000  # For PINGRESP, and for PUBACK before the first repetition.
REPEATS_MAX = 3  # Unanswered repetitions of one PUBLISH before the connection counts as dead.
RETURN_S = 35  # As wire_protocol.configure has it.
OPEN_MS = 45_000  # Network (20 s), name, TCP, TLS on a slow chip, CONNACK, SUBACK: all together.
OUTBOX_MAX = 3  # Posted and not yet written; short, so that an SOS overtakes all but these.
# QoS 1 messages without their PUBACK, each up to 450 bytes of heap; the last place is an SOS's.
FLYING_MAX = 4

# A failed certificate check is a ValueError on MicroPython.
_EXPECTED = (OSError, ValueError, DeviceError, asyncio.TimeoutError)


class Link:
    """The connection of one device.

    Attributes:
        up: An event, set while the broker hears us and we hear it.
        connection: How many connections were tried since the start.
        trouble: Why the last connection ended or did not begin, in words.
    """

    def __init__(self, board, owner) -> None:
        """Begin without a connection.

        Owner gives `will(connection) -> bytes` and takes `on_up()`, `on_room()`,
        `on_message(kind, payload)` and `on_puback(token)`; all of them plain functions.
        """
        self.up = asyncio.Event()
        self.connection = 0
        self.trouble = ""
        self._board = board
        self._owner = owner
        self._prefix = "xh/1/" + board.device_id
        self._failures = [0, False]  # What the back-off remembers.
        self._urgent = False
        self._wire = make_once(Wire, board.uptime_ms)
        self._outbox = []
        self._flying = {}  # packet id -> [token, packet, sent_ms, repeats]
        self._packet_id = 0
        self._posted = asyncio.Event()
        self._down = asyncio.Event()
        self._error = None
        self._hurry = asyncio.Event()
        self._ping_ms = None

    def set_urgent(self, urgent: bool) -> None:
        """While an SOS is open: shorter pings and back-off, and no waiting out the present one."""
        self._urgent = urgent
        self._posted.set()
        if urgent:
            self._hurry.set()

    def poke(self) -> None:
        """To be called about once a second: time has passed."""
        self._posted.set()

    def publish(self, kind: str, payload: bytes, qos: int, token=None, is_sos=False) -> bool:
        """Post one message; `state` is retained, nothing else is.

        Args:
            kind: Last part of the topic.
            payload: The message.
            qos: 0 or 1.
            token: Names a QoS 1 message to `on_puback`. The same token again while it is in the
                air repeats the packet with DUP, and it outlives the connection; without a token
                the message ends with the connection.
            is_sos: It may take the last place in the air.

        Returns:
            False when there is no connection or no room; `on_up` or `on_room` tell when there is.
        """
        if not self.up.is_set() or len(self._outbox) >= OUTBOX_MAX:
            return False
        packet_id = 0
        if qos:
            for packet_id in self._flying:
                if token is not None and self._flying[packet_id][0] == token:
                    self._repeat(packet_id)
                    return True
            if len(self._flying) >= FLYING_MAX - (not is_sos):
                return False
            packet_id = self._next_id()
        topic = self._prefix + "/up/" + kind
        packet = packets.publish(topic, payload, qos, packet_id, kind == "state")
        if qos:
            self._flying[packet_id] = [token, packet, self._board.uptime_ms(), 0]
        self._post(packet, ahead=qos > 0)
        return True

    def is_flying(self, token) -> bool:
        """Say whether a message with this token still lacks its PUBACK."""
        return any(entry[0] == token for entry in self._flying.values())

    # Started by the supervisor; lives as long as the device. Expected failures end in the next
    # try; anything else passes to the supervisor, which starts this again.
    async def run(self, beat) -> None:
        """Connect, stay, go down, wait, for ever; `beat` is called at every turn of each."""
        while True:
            beat()
            wait_ms = self._rest_ms(await self._live(beat))
            beat()
            self._hurry.clear()
            try:
                await asyncio.wait_for_ms(self._hurry.wait(), wait_ms)
            except asyncio.TimeoutError:
                pass

    def _rest_ms(self, lived_ms: int) -> int:
        """Return how long to wait before the next try."""
        import random

        from device.domain.backoff import Backoff

        board = self._board
        return_s = board.config.get("return_s", RETURN_S)
        backoff = Backoff(random.randrange, return_s, self._failures)
        forget("device.domain.backoff")
        return backoff.after(lived_ms, self._urgent, board.network_is_up())

    async def _live(self, beat) -> int:
        """One connection from open to close; returns the ms it lived, 0 if it never came up."""
        tasks = []
        up_ms = None
        self._error = None
        self._down.clear()
        self.connection += 1
        try:
            await asyncio.wait_for_ms(self._open(), OPEN_MS)
            up_ms = self._board.uptime_ms()
            self.trouble = ""
            self.up.set()
            self._owner.on_up()
            tasks = [
                asyncio.create_task(self._until_down(self._read_all())),
                asyncio.create_task(self._until_down(self._write_all(beat))),
            ]
            await self._down.wait()
        except _EXPECTED as error:
            self._error = error
        finally:
            self.up.clear()
            for task in tasks:
                task.cancel()
            self._close()
        if not isinstance(self._error, _EXPECTED):
            raise self._error  # pyright: ignore[reportGeneralTypeIssues]  # Set when down.
        self.trouble = "{}: {}".format(type(self._error).__name__, self._error)[:80]
        return 0 if up_ms is None else self._board.uptime_ms() - up_ms

    async def _open(self) -> None:
        from device.adapters.mqtt_open import open_wire

        try:
            will = self._owner.will(self.connection)
            await open_wire(self._wire, self._board, KEEPALIVE_S, will, self._next_id())
        finally:
            # asyncio may hold this frame long after its end, and with it the module.
            del open_wire
            forget("device.adapters.mqtt_open")
        self._ping_ms = None
        for packet_id in self._flying:
            self._flying[packet_id][3] = 0
            self._repeat(packet_id)

    def _close(self) -> None:
        self._wire.close()
        self._outbox.clear()
        for packet_id in [p for p in self._flying if self._flying[p][0] is None]:
            del self._flying[packet_id]

    # Wraps the reader and the writer of one connection: they end here, whatever happened.
    async def _until_down(self, work) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - `_live` sorts out what is not expected
            self._fail(error)

    def _fail(self, error) -> None:
        if self._error is None:
            self._error = error
            self._down.set()

    # Lives as long as one connection.
    async def _read_all(self) -> None:
        while True:
            self._take(*await self._wire.receive())

    # Lives as long as one connection. Also its pulse: pings and repetitions begin here.
    async def _write_all(self, beat) -> None:
        while True:
            beat()
            self._post_due()
            while self._outbox:
                await self._wire.write(self._outbox.pop(0))
                self._owner.on_room()
            self._posted.clear()
            await self._posted.wait()

    def _post_due(self) -> None:
        """Post the ping or the repetition that is due; PeerError when patience is at its end."""
        now = self._board.uptime_ms()
        sent_gap, heard_gap = SENT_GAP_MS, HEARD_GAP_MS
        if self._urgent:
            sent_gap = heard_gap = URGENT_GAP_MS
        if self._ping_ms is not None:
            if now >= self._ping_ms + ANSWER_MS:
                raise PeerError("no answer in {} ms".format(ANSWER_MS))
        elif now >= min(self._wire.sent_ms + sent_gap, self._wire.heard_ms + heard_gap):
            self._ping_ms = now
            self._outbox.append(packets.PINGREQ_PACKET)
        for packet_id in self._flying:
            entry = self._flying[packet_id]
            if now >= entry[2] + ANSWER_MS:
                if entry[3] >= REPEATS_MAX:
                    raise PeerError("no PUBACK after {} repetitions".format(REPEATS_MAX))
                self._repeat(packet_id)

    def _repeat(self, packet_id: int) -> None:
        entry = self._flying[packet_id]
        packets.mark_duplicate(entry[1])
        entry[2] = self._board.uptime_ms()
        entry[3] += 1
        if entry[1] not in self._outbox:
            self._post(entry[1], ahead=True)

    def _post(self, packet, ahead: bool) -> None:
        if ahead:
            self._outbox.insert(0, packet)
        else:
            self._outbox.append(packet)
        self._posted.set()

    def _next_id(self) -> int:
        while True:
            self._packet_id = self._packet_id % 0xFFFF + 1
            if self._packet_id not in self._flying:
                return self._packet_id

    def _take(self, first: int, body: memoryview) -> None:
        if self._ping_ms is not None:
            # Whatever it is, it answers the ping.
            self._ping_ms = None
        kind = first & 0xF0
        if kind == packets.PUBLISH:
            topic, packet_id, payload = packets.split_publish(first, body)
            start = (self._prefix + "/down/").encode()
            if topic.startswith(start):
                self._owner.on_message(topic[len(start) :].decode(), payload)
            if packet_id:
                # Only now: what the owner had to keep is kept.
                self._post(packets.puback(packet_id), ahead=True)
        elif kind == packets.PUBACK:
            # An unknown id is no fault: a repeated packet is acknowledged twice.
            entry = self._flying.pop(packets.acknowledged(body), None)
            if entry is not None and entry[0] is not None:
                self._owner.on_puback(entry[0])
            self._owner.on_room()
        elif kind != packets.PINGRESP:
            raise PeerError("packet {:#x} is not for a client".format(first))
