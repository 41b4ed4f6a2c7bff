"""The SOS relay at the gateway: opens what neighbours carry, and seals what they carry back.

A relayed record is the device's own: it is checked and stored like one that came by its own link,
under the same key, so it counts once whichever way comes first. Its receipt goes to the device's
own topic as always, and also back by the neighbour that carried it, with what the command room
has said meanwhile: a terminal without a link asks by repeating its record.
"""

import time
from typing import Any

from gateway.adapters.mqtt_connection import Incoming
from gateway.adapters.relay_seal import Sealer
from gateway.adapters.urgent_commit import Relayed
from gateway.domain import inbound
from storage import relay_keys
from storage.errors import StoreAway
from storage.registry import Registry
from storage.registry.ingest import certificates
from wire_protocol import records, relay, topics
from wire_protocol.errors import WireError

REFRESH_S = 1.0  # A device flashed just now is opened after this long at most.


class RelayDesk:
    """The relay keys of all devices; used by the urgent path's thread alone."""

    def __init__(self, registry: Registry, secret: bytes | None) -> None:
        """Take the installation's relay secret; None: this gateway opens no relay frames."""
        self._registry = registry
        self._secret = secret
        self._known: dict[tuple[str, str], Sealer] = {}  # By device and certificate.
        self._by_address: dict[bytes, tuple[str, Sealer]] = {}
        self._by_device: dict[str, Sealer] = {}
        self._read_s = float("-inf")

    def read(self, message: Incoming, received_ms: int) -> inbound.Record | inbound.Refused:
        """Open and check one message of a topic `up/relay`.

        Raises:
            StoreAway: Whose frame it is cannot be asked now.
        """
        carrier = topics.parse(message.topic)[0]
        try:
            device, low, record = self._open(message.payload)
        except WireError as error:
            return inbound.Refused(
                carrier, "relay", message.topic, inbound.BAD_FRAME, str(error),
                message.payload, received_ms,
            )  # fmt: skip
        return inbound.Record(device, "event", low, record, received_ms, carrier)

    def answers(self, relayed: Relayed) -> list[tuple[str, bytes]]:
        """Return (topic, frame) of what goes back by the neighbour that carried a record."""
        sealer = self._by_device.get(relayed.device)
        if sealer is None:  # Retired meanwhile.
            return []
        now_ms = time.time_ns() // 1_000_000
        answers = [relay.encode_receipt(now_ms, relayed.epoch, list(relayed.counts))]
        if relayed.status is not None:
            answers.append(relay.encode_status(relayed.status))
        topic = topics.down(relayed.via, "relay")
        return [(topic, sealer.seal(kind, body)) for kind, body in answers]

    def _open(self, frame: bytes) -> tuple[str, int, dict[str, Any]]:
        kind, address = relay.parse_header(frame)
        if not relay.is_up(kind):
            raise WireError(f"relay frame of kind {kind} on the way up")
        device, sealer = self._owner(address)
        low, found = relay.decode_record(*sealer.open(frame))
        record = records.check(found)
        if not 1 <= low <= record["seq"]:
            raise WireError(f"low is {low}, not 1..{record['seq']}")
        return device, low, record

    def _owner(self, address: bytes) -> tuple[str, Sealer]:
        if self._secret is None:
            raise WireError("this gateway has no relay secret")
        found = self._by_address.get(address)
        if found is None and time.monotonic() - self._read_s > REFRESH_S:
            self._refresh(self._secret)
            found = self._by_address.get(address)
        if found is None:
            raise WireError("relay frame of no device of ours, or of a retired one")
        return found

    def _refresh(self, secret: bytes) -> None:
        try:
            with self._registry.read() as session:
                rows = certificates(session)
        except StoreAway:
            if not self._known:
                raise
            return
        known = {
            row: self._known.get(row) or Sealer(relay_keys.device_key(secret, *row))
            for row in rows.items()
        }
        self._known = known
        self._by_device = {device: sealer for (device, _), sealer in known.items()}
        self._by_address = {
            sealer.address: (device, sealer) for device, sealer in self._by_device.items()
        }
        self._read_s = time.monotonic()
