"""The live bus: `xh/1/live/{producer}` on the broker, under this process's service certificate.

aiomqtt acknowledges before the program has seen a message; nothing here is kept for good, and a
lost message is a gap that the hub answers with a snapshot.
"""

import asyncio
import json
import logging
import random
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiomqtt

from fleet_api.live.metrics import LiveMetrics
from wire_protocol import topics
from wire_protocol.errors import WireError

logger = logging.getLogger(__name__)

LIVE_TOPICS = "xh/1/live/+"
MESSAGE_BYTES_MAX = 1_000_000  # A gateway coalesces 100 ms: some 200 bytes a delta.
INCOMING_MAX = 10_000  # Messages; beyond it some are lost, which the numbers tell.
OUTGOING_MAX = 1_000  # Transactions whose deltas wait for the broker.
_KEEPALIVE_S = 10  # A frozen broker is noticed within some 15 s.
_TIMEOUT_S = 10.0
_RETRY_S = 0.5
_RETRY_S_MAX = 10.0

Hear = Callable[[str, int, list[Mapping[str, Any]]], None]
Changed = Callable[[bool], None]


class Bus:
    """Hears every producer and publishes as one."""

    def __init__(
        self,
        producer: str,
        address: tuple[str, int],
        files: tuple[Path, Path, Path],
        metrics: LiveMetrics,
    ) -> None:
        self._producer = producer
        self._host, self._port = address
        self._files = files
        self._metrics = metrics
        self._outgoing: asyncio.Queue[list[dict[str, Any]]] = asyncio.Queue(OUTGOING_MAX)
        self._number = 0

    def publish(self, deltas: list[dict[str, Any]]) -> None:
        """Queue the deltas of one transaction. Called in the event loop; never waits."""
        try:
            self._outgoing.put_nowait(deltas)
        except asyncio.QueueFull:
            # The number is spent all the same: whoever hears the next one knows of the gap.
            self._number += 1
            self._metrics.dropped.inc(len(deltas))

    async def run(self, hear: Hear, changed: Changed) -> None:
        """Stay connected until cancelled."""
        retry_s = _RETRY_S
        while True:
            try:
                async with self._client() as client:
                    await client.subscribe(LIVE_TOPICS, qos=0)
                    logger.info("%s: on the live bus at %s:%d", self._producer, *self._address())
                    retry_s = _RETRY_S
                    changed(True)
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(self._send(client), name="bus-send")
                        tasks.create_task(_receive(client, hear), name="bus-receive")
            except* (aiomqtt.MqttError, OSError) as errors:
                logger.warning(
                    "%s: the live bus is away: %s", self._producer, errors.exceptions[0]
                )
            changed(False)
            await asyncio.sleep(retry_s * random.uniform(0.5, 1.0))  # noqa: S311  # spreads only
            retry_s = min(2 * retry_s, _RETRY_S_MAX)

    def _address(self) -> tuple[str, int]:
        return self._host, self._port

    def _client(self) -> aiomqtt.Client:
        authority, certificate, key = self._files
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(authority))
        context.load_cert_chain(certificate, key)
        return aiomqtt.Client(
            self._host,
            self._port,
            identifier=self._producer,
            tls_context=context,
            keepalive=_KEEPALIVE_S,
            timeout=_TIMEOUT_S,
            max_queued_incoming_messages=INCOMING_MAX,
        )

    async def _send(self, client: aiomqtt.Client) -> None:
        while True:
            deltas = await self._outgoing.get()
            self._number += 1
            message = {"producer": self._producer, "n": self._number, "deltas": deltas}
            payload = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
            await client.publish(topics.live(self._producer), payload, qos=0)


async def _receive(client: aiomqtt.Client, hear: Hear) -> None:
    async for message in client.messages:
        try:
            producer, number, deltas = parse(str(message.topic), message.payload)
        except (WireError, ValueError, TypeError, KeyError) as error:
            logger.warning("%s: no live message: %s", message.topic, error)
            continue
        hear(producer, number, deltas)


def parse(topic: str, payload: object) -> tuple[str, int, list[Mapping[str, Any]]]:
    """Return (producer, number, deltas) of a message.

    Raises:
        ValueError, TypeError, KeyError, WireError: It is none.
    """
    producer = topics.parse_live(topic)
    if not isinstance(payload, bytes) or len(payload) > MESSAGE_BYTES_MAX:
        raise ValueError(f"not bytes, or more than {MESSAGE_BYTES_MAX} of them")
    message = json.loads(payload)
    if message["producer"] != producer:
        raise ValueError(f"speaks for {message['producer']!r:.60}")
    number, deltas = message["n"], message["deltas"]
    if not isinstance(number, int) or not isinstance(deltas, list):
        raise TypeError("n is no integer, or deltas no list")
    if not all(isinstance(delta, dict) for delta in deltas):
        raise TypeError("a delta is no object")
    return producer, number, deltas
