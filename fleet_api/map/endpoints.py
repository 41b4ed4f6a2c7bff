"""The operator's own map layer, from HOME/map/."""

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from fleet_api.call import CallDep, PartsDep
from fleet_api.errors import NotFoundError
from fleet_api.kit.responses import errors

router = APIRouter(prefix="/map", tags=["map"])

_EXAMPLE = {"type": "FeatureCollection", "features": []}


@router.get(
    "/villages.geojson",
    response_class=Response,
    responses={
        200: {
            "content": {
                "application/geo+json": {"schema": {"type": "object"}, "example": _EXAMPLE}
            }
        },
        **errors(401, 404),
    },
)
def villages(call: CallDep, parts: PartsDep) -> FileResponse:
    """Return the outlines of the villages, as the operator laid them down."""
    call.caller()
    path = parts.settings.home / "map" / "villages.geojson"
    if not path.is_file():
        raise NotFoundError("There is no map/villages.geojson in this installation's folder.")
    return FileResponse(
        path, media_type="application/geo+json", headers={"Cache-Control": "private, no-cache"}
    )
