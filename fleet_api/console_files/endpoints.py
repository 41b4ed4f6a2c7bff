"""The built console at `/`: its files, and index.html for the addresses it makes up itself."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, Response

from fleet_api.call import PartsDep
from fleet_api.errors import NotFoundError

router = APIRouter()

# Vite puts a hash into the names of what lies in assets/.
_FOR_EVER = "public, max-age=31536000, immutable"
_NOT_BUILT = """<!doctype html><meta charset="utf-8"><title>Xunhu</title>
<p>The console is not built yet: run <code>make run</code>, or build it in <code>console/</code>.
<p>控制台尚未构建：请运行 <code>make run</code>。
"""


@router.get("/{path:path}", include_in_schema=False)
def console_file(path: str, parts: PartsDep) -> Response:
    """Return a file of the console, or its page."""
    root = parts.settings.console_dir.resolve()
    if path.startswith("api/"):
        raise NotFoundError(f"There is nothing at /{path[:100]}.")
    wanted = (root / path).resolve()
    # A path with dots in it may point anywhere; only what lies in the console's folder is served.
    if path and wanted.is_relative_to(root) and wanted.is_file():
        caching = _FOR_EVER if path.startswith("assets/") else "no-cache"
        return FileResponse(wanted, headers={"Cache-Control": caching})
    if "." in Path(path).name:
        raise NotFoundError(f"There is nothing at /{path[:100]}.")
    index = root / "index.html"
    if not index.is_file():
        return HTMLResponse(_NOT_BUILT, status_code=503)
    return FileResponse(index, headers={"Cache-Control": "no-cache"})
