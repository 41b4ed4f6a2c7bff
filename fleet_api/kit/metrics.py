"""Numbers about requests, for Prometheus."""

import time

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class RequestMetrics:
    """Counts answers by method, route and status."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.answers = Counter(
            "xunhu_api_answers", "Answers.", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "xunhu_api_answer_seconds",
            "Time to the first byte of an answer.",
            ["method", "route"],
            registry=registry,
            buckets=_BUCKETS,
        )


class Measured:
    """ASGI middleware that fills RequestMetrics."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, and note how it was answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = time.perf_counter()

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(scope, message["status"], time.perf_counter() - begin)
            await send(message)

        await self._app(scope, receive, noting)

    @staticmethod
    def _note(scope: Scope, status: int, seconds: float) -> None:
        # The route's pattern, never the path: a path would name devices, and be without end.
        route = getattr(scope.get("route"), "path", "other")
        metrics: RequestMetrics = scope["app"].state.parts.requests
        metrics.answers.labels(scope["method"], route, status).inc()
        metrics.seconds.labels(scope["method"], route).observe(seconds)
