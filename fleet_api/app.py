"""Puts the routes together."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import APIRouter, FastAPI

from fleet_api.areas import endpoints as areas
from fleet_api.audit import endpoints as audit
from fleet_api.bootstrap import running
from fleet_api.cases import endpoints as cases
from fleet_api.commands import endpoints as commands
from fleet_api.console_files import endpoints as console_files
from fleet_api.devices import endpoints as devices
from fleet_api.events import endpoints as events
from fleet_api.health import endpoints as health
from fleet_api.kit import error_bodies
from fleet_api.kit.metrics import Measured
from fleet_api.kit.security_headers import SecurityHeaders
from fleet_api.live import endpoints as live
from fleet_api.map import endpoints as map_layer
from fleet_api.positions import endpoints as positions
from fleet_api.quarantine import endpoints as quarantine
from fleet_api.readings import endpoints as readings
from fleet_api.sessions import endpoints as sessions
from fleet_api.settings import VERSION, Settings
from fleet_api.tracks import endpoints as tracks
from fleet_api.users import endpoints as users

PREFIX = "/api/v1"
_DESCRIPTION = """The command room's side of Xunhu.

Sign in with `POST /api/v1/session`; the answer sets a cookie. Every write carries the header
`X-Xunhu: 1`. Errors are `{"error":{"code","message","details"}}`. Times are Unix milliseconds,
coordinates WGS-84, integers in 1e-6 degree except in GeoJSON. The live view is the WebSocket
`/api/v1/live`, described in docs/api.md.
"""
_FEATURES = (
    sessions,
    areas,
    devices,
    positions,
    tracks,
    readings,
    events,
    cases,
    commands,
    users,
    audit,
    quarantine,
    map_layer,
    live,
)


def create_app(settings: Settings) -> FastAPI:
    """Return the application; its stores are opened when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(settings) as parts:
            app.state.parts = parts
            yield

    app = _application(lifespan)
    # The last one added is the first to see a request.
    app.add_middleware(SecurityHeaders, secure=settings.secure)
    app.add_middleware(Measured)
    return app


def _application(
    lifespan: "Callable[[FastAPI], AbstractAsyncContextManager[None]] | None" = None,
) -> FastAPI:
    app = FastAPI(
        title="Xunhu fleet API",
        version=VERSION,
        description=_DESCRIPTION,
        lifespan=lifespan,
        # The interactive pages load scripts from elsewhere; the document itself is enough.
        docs_url=None,
        redoc_url=None,
    )
    error_bodies.install(app)
    api = APIRouter(prefix=PREFIX)
    for feature in _FEATURES:
        api.include_router(feature.router)
    app.include_router(api)
    app.include_router(health.router)
    app.include_router(console_files.router)  # Last: it answers whatever is left.
    return app
