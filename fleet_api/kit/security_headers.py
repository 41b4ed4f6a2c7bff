"""Headers on every answer, and the header that every write must carry."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fleet_api.errors import HeaderMissingError
from fleet_api.kit.error_bodies import error_body

# Everything comes from this server. Element Plus and MapLibre set styles on elements and draw
# small images from data: and blob: URLs, MapLibre's worker starts from a blob: URL.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self'; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HSTS = "max-age=31536000"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
BODY_BYTES_MAX = 64 * 1024  # The largest honest body, a 500 character reason, is under 4 KiB.


class SecurityHeaders:
    """ASGI middleware; `secure` adds what only HTTPS may promise."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app = app
        self._headers = dict(_HEADERS) | ({"Strict-Transport-Security": _HSTS} if secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one connection on, with the headers added to its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/api/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = _refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)


def _refusal(scope: Scope) -> JSONResponse | None:
    if scope["method"] in _SAFE_METHODS:
        return None
    headers = Headers(scope=scope)
    if headers.get("x-xunhu") != "1":
        error = HeaderMissingError("A write needs the header X-Xunhu: 1.")
        return JSONResponse(error_body(error.code, error.message), error.status)
    length = headers.get("content-length", "0")
    # A chunked body has no length to check; uvicorn would hold all of it in memory.
    if "transfer-encoding" in headers or not length.isdigit() or int(length) > BODY_BYTES_MAX:
        words = f"body: at most {BODY_BYTES_MAX} bytes, with a Content-Length."
        return JSONResponse(error_body("too_large", words), 413)
    return None
