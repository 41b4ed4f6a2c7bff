"""Prometheus metrics of one gateway; names end in their unit."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Metrics:
    """Every figure in a registry of its own, so that two gateways fit in one test process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.messages = self._counter("messages", "Messages by outcome", "stream", "outcome")
        self.quarantined = self._counter("quarantined", "Refused messages", "stream", "reason")
        self.receipts = self._counter("receipts", "Receipts sent", "path")
        self.let_go = self._counter(
            "let_go_messages", "Messages dropped for want of room; their devices resend", "path"
        )
        self.failures = self._counter("failures", "Errors that nobody expected; see log", "path")
        self.away_seconds = self._counter(
            "store_away_seconds", "Time a store could not be written", "store"
        )
        self.blocks = self._counter("block_requests", "Requests for blocks", "outcome")
        self.block_bytes = self._counter("block_bytes", "Bytes of applications sent")
        self.blocks_connected = self._gauge(
            "blocks_connected", "1 while devices can fetch applications here"
        )
        self.queue = self._gauge("queue_messages", "Messages that wait", "path")
        self.queue_bytes = self._gauge("queue_bytes", "Memory taken by them", "path")
        self.connected = self._gauge("connected", "1 while connected to the broker", "path")
        self.paused = self._gauge("paused", "1 while the bulk path has left the broker")
        self.commit_seconds = Histogram(
            "xunhu_gateway_commit_seconds", "Time of a commit",
            ["path"], registry=self.registry, buckets=_SECONDS,
        )  # fmt: skip
        self.sos_seconds = Histogram(
            "xunhu_gateway_sos_seconds", "From an SOS received to its commit",
            registry=self.registry, buckets=_SECONDS,
        )  # fmt: skip

    def serve(self, port: int) -> None:
        """Answer /metrics on loopback."""
        start_http_server(port, addr="127.0.0.1", registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"xunhu_gateway_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"xunhu_gateway_{name}", text, labels, registry=self.registry)
