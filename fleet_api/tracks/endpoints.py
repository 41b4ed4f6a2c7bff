"""Tracks of a period as GeoJSON, GPX or CSV."""

from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import Response, StreamingResponse

from fleet_api.bootstrap import HISTORY_WAIT_S
from fleet_api.call import CallDep, PartsDep
from fleet_api.kit.period import PeriodDep
from fleet_api.kit.responses import errors
from fleet_api.kit.texts import DeviceId
from fleet_api.tracks import geojson, gpx, service, table

router = APIRouter(tags=["tracks"])

_EXAMPLE = {
    "type": "FeatureCollection",
    "device": "t-0001",
    "from_ms": 1_795_396_400_000,
    "to_ms": 1_795_400_000_000,
    "count": 2,
    "features": [
        {
            "type": "Feature",
            "geometry": {
                "type": "LineString",
                "coordinates": [[102.710456, 25.040123], [102.710512, 25.04018]],
            },
            "properties": {
                "times_ms": [1_795_399_990_000, 1_795_399_995_000],
                "speeds_cms": [120, 130],
                "courses_deg": [44, 42],
                "accuracies_m": [5, None],
                "clocks": ["gnss", "gnss"],
                "late": [False, False],
                "received_ms": [1_795_399_996_000, 1_795_399_996_000],
            },
        }
    ],
}
_CONTENT: dict[str, Any] = {
    "application/geo+json": {"schema": {"type": "object"}, "example": _EXAMPLE},
    "application/gpx+xml": {"schema": {"type": "string"}},
    "text/csv": {"schema": {"type": "string"}, "example": table.HEADER},
}


@router.get(
    "/devices/{device_id}/track",
    response_class=Response,
    responses={200: {"content": _CONTENT}, **errors(401, 403, 404, 503)},
)
def get_track(
    device_id: DeviceId,
    wanted: PeriodDep,
    call: CallDep,
    parts: PartsDep,
    format: Literal["geojson", "gpx", "csv"] = "geojson",  # noqa: A002
) -> Response:
    """Show where a device was; the look is written into the audit log."""
    with call.write("operator") as unit:
        service.note_look(unit, device_id, wanted, format)
    # After the commit: the track is read only when it is certain that the look is recorded.
    track = parts.history.run(
        lambda: parts.telemetry.track(device_id, wanted.from_ms, wanted.to_ms), HISTORY_WAIT_S
    )
    if format == "geojson":
        text = geojson.lines(device_id, wanted.from_ms, wanted.to_ms, track)
        return StreamingResponse(text, media_type="application/geo+json")
    name = f"{device_id}-{wanted.from_ms}-{wanted.to_ms}.{format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    if format == "gpx":
        lines = gpx.lines(device_id, track)
        return StreamingResponse(lines, media_type="application/gpx+xml", headers=headers)
    return StreamingResponse(table.lines(track), media_type="text/csv", headers=headers)
