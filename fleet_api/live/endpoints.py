"""The WebSocket of the live view."""

import asyncio
import contextlib
import logging
from urllib.parse import urlsplit

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.websockets import WebSocketState

from fleet_api.call import COOKIE, parts_of
from fleet_api.errors import FleetError
from fleet_api.live.service import SESSION_OVER, TOO_MANY, TOO_SLOW, LiveViews
from fleet_api.live.viewer import Viewer

logger = logging.getLogger(__name__)

router = APIRouter()


@router.websocket("/live")
async def live(websocket: WebSocket) -> None:
    """Serve one live view until either side ends it."""
    parts = parts_of(websocket)
    if not same_origin(websocket):
        await websocket.close()  # Before the accept: the handshake is answered with 403.
        return
    await websocket.accept()
    try:
        viewer = await asyncio.to_thread(parts.live.open, websocket.cookies.get(COOKIE))
    except FleetError:
        await websocket.close(SESSION_OVER)
        return
    reason = "the browser left"
    try:
        reason = await _serve(parts.live, viewer, websocket)
    except asyncio.CancelledError:
        reason = "the server stops"
        raise
    finally:
        parts.hub.leave(viewer)
        # Shielded: the end of a view is written down even when the server stops in between.
        await asyncio.shield(
            asyncio.to_thread(parts.live.note_end, viewer.caller.name, viewer.view_id, reason)
        )


def same_origin(websocket: WebSocket) -> bool:
    """Tell whether a browser's page of this very server opens the socket.

    A browser always names the page's origin, and a cookie travels with any page's socket; a
    program without an origin needs the cookie itself, so it may come.
    """
    origin = websocket.headers.get("origin")
    if origin is None:
        return True
    parts = urlsplit(origin)
    secure = websocket.url.scheme == "wss"
    return parts.scheme == ("https" if secure else "http") and (
        parts.netloc == websocket.headers.get("host")
    )


async def _serve(views: LiveViews, viewer: Viewer, websocket: WebSocket) -> str:
    if not views.hub.join(viewer):
        await websocket.close(TOO_MANY)
        return "too many viewers"
    feeding = asyncio.create_task(views.feed(viewer, websocket), name=f"feed-{viewer.view_id}")
    reading = asyncio.create_task(_read(websocket), name=f"read-{viewer.view_id}")
    try:
        done, _ = await asyncio.wait((feeding, reading), return_when=asyncio.FIRST_COMPLETED)
        if feeding not in done:
            return "the browser left"
        return feeding.result()
    except TimeoutError:
        with contextlib.suppress(RuntimeError):
            await websocket.close(TOO_SLOW)
        return "the browser did not read"
    except (WebSocketDisconnect, RuntimeError):
        return "the browser left"
    finally:
        for task in (feeding, reading):
            task.cancel()
        await asyncio.gather(feeding, reading, return_exceptions=True)


async def _read(websocket: WebSocket) -> None:
    """Read until the browser leaves; what it says is ignored."""
    while websocket.client_state is WebSocketState.CONNECTED:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
