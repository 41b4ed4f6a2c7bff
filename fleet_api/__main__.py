"""`python -m fleet_api`: one API process. Settings come from the environment (settings.py)."""

import logging
import signal
import sys

import uvicorn
from pydantic import ValidationError

from fleet_api.app import create_app
from fleet_api.settings import Settings

logger = logging.getLogger("fleet_api")

# A browser that reads slowly must not keep a stopping server.
_STOP_S_MAX = 5
# What a browser has to say on the live view is nothing; pings keep dead connections from staying.
_WEBSOCKET_BYTES_MAX = 1_024
_WEBSOCKET_PING_S = 20.0
_CONNECTIONS_MAX = 2_000


def main() -> int:
    """Serve until stopped; returns the exit code."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    try:
        settings = Settings()
    except ValidationError as error:
        for problem in error.errors():
            name = "_".join(str(part) for part in problem["loc"]).upper()
            logger.critical("XUNHU_%s: %s", name, problem["msg"])
        return 2
    # uvicorn stops cleanly and then raises the signal again: being asked to stop is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = uvicorn.Server(config(settings))
    server.run()
    return 0 if server.started else 3


def config(settings: Settings) -> uvicorn.Config:
    """Return uvicorn's configuration."""
    return uvicorn.Config(
        create_app(settings),
        host=settings.api_host,
        port=settings.api_port,
        ssl_certfile=settings.api_tls_cert,
        ssl_keyfile=settings.api_tls_key,
        access_log=False,  # Paths name devices; the audit log and the metrics say what matters.
        log_config=None,
        server_header=False,
        ws_max_size=_WEBSOCKET_BYTES_MAX,
        ws_ping_interval=_WEBSOCKET_PING_S,
        ws_ping_timeout=_WEBSOCKET_PING_S,
        limit_concurrency=_CONNECTIONS_MAX,
        timeout_graceful_shutdown=_STOP_S_MAX,
    )


if __name__ == "__main__":
    sys.exit(main())
