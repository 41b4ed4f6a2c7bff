"""Numbers about the live view, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class LiveMetrics:
    """What the live view counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.viewers = Gauge("xunhu_api_viewers", "Live views open now.", registry=registry)
        self.bus_up = Gauge(
            "xunhu_api_bus_up", "1 while the live bus is heard.", registry=registry
        )
        self.gaps = Counter(
            "xunhu_api_bus_gaps",
            "Messages of the live bus that did not follow.",
            registry=registry,
        )
        self.snapshots = Counter("xunhu_api_snapshots", "Snapshots built.", registry=registry)
        self.slow = Counter(
            "xunhu_api_slow_viewers",
            "Views that got a snapshot for reading slowly.",
            registry=registry,
        )
        self.dropped = Counter(
            "xunhu_api_bus_dropped",
            "Deltas of this process not published because the bus was away.",
            registry=registry,
        )
        self.followed = Counter(
            "xunhu_api_followed",
            "Events, cases and commands shown from the registry.",
            registry=registry,
        )
