"""Prometheus metrics of one gateway; names end in their unit."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Metrics:
    """Every figure in a registry of its own, so that two gateways fit in one test process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.messages = Counter(
            "xunhu_gateway_messages", "Messages by stream and outcome",
            ["stream", "outcome"], registry=self.registry,
        )  # fmt: skip
        self.quarantined = Counter(
            "xunhu_gateway_quarantined", "Refused messages", ["stream"], registry=self.registry
        )
        self.receipts = Counter(
            "xunhu_gateway_receipts", "Receipts sent", ["path"], registry=self.registry
        )
        self.queue = Gauge(
            "xunhu_gateway_queue_messages", "Messages that wait", ["path"], registry=self.registry
        )
        self.connected = Gauge(
            "xunhu_gateway_connected", "1 while connected to the broker",
            ["path"], registry=self.registry,
        )  # fmt: skip
        self.away_seconds = Counter(
            "xunhu_gateway_store_away_seconds", "Time a store could not be written",
            ["store"], registry=self.registry,
        )  # fmt: skip
        self.commit_seconds = Histogram(
            "xunhu_gateway_commit_seconds", "Time of a commit",
            ["path"], registry=self.registry, buckets=_SECONDS,
        )  # fmt: skip
        self.sos_seconds = Histogram(
            "xunhu_gateway_sos_seconds", "From an SOS received to its receipt sent",
            registry=self.registry, buckets=_SECONDS,
        )  # fmt: skip
        self.overrun = Counter(
            "xunhu_gateway_overrun_messages", "Messages let go because a queue was full",
            ["path"], registry=self.registry,
        )  # fmt: skip

    def serve(self, port: int) -> None:
        """Answer /metrics on loopback."""
        start_http_server(port, addr="127.0.0.1", registry=self.registry)
