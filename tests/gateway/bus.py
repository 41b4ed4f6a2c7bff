"""Hears the live bus, and anything else that a gateway may hear."""

import json
import ssl
import threading
from typing import Any

import paho.mqtt.client as mqtt

from tests.gateway.installation import Installation, wait_for

# Names that no process of a test uses.
HEARS_DEVICES = "gateway-16"
HEARS_LIVE = "api-16"
LIVE = "xh/1/live/+"


class Witness:
    """A further client on the services listener."""

    def __init__(
        self, installation: Installation, filter_: str = LIVE, name: str = HEARS_LIVE
    ) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._subscribed = threading.Event()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"{name}-witness")
        authority = installation.authority
        service = authority.issue_service(name)
        context = ssl.create_default_context(cafile=str(authority.services_ca_path))
        context.load_cert_chain(service.certificate_path, service.key_path)
        self.client.tls_set_context(context)
        self.client.on_connect = lambda client, *_: client.subscribe(filter_, 1)
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_message = lambda _c, _d, m: self.heard.append((m.topic, m.payload))
        self.client.connect("127.0.0.1", installation.listeners.services_port)
        self.client.loop_start()
        wait_for(self._subscribed.is_set, what="the witness hears")

    def __enter__(self) -> "Witness":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def deltas(self, kind: str) -> list[dict[str, Any]]:
        """All live deltas of a kind heard so far."""
        found = []
        for topic, payload in list(self.heard):
            if topic.startswith("xh/1/live/"):
                found += [d for d in json.loads(payload)["deltas"] if d["kind"] == kind]
        return found

    def wait_for_delta(self, what: str, timeout_s: float = 10.0, **fields: Any) -> dict[str, Any]:
        def found() -> list[dict[str, Any]]:
            return [d for d in self.deltas(what) if _has(d, fields)]

        return wait_for(found, timeout_s, f"a {what} delta with {fields}")[0]  # type: ignore[index]


def _has(delta: dict[str, Any], fields: dict[str, Any]) -> bool:
    inner = {**delta, **delta.get(delta["kind"], {})}
    return all(inner.get(name) == value for name, value in fields.items())
