"""Health and metrics of this process; no names and no positions in either."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from fleet_api.call import PartsDep
from fleet_api.health import service
from fleet_api.health.schemas import Health

router = APIRouter(tags=["health"])


@router.get("/healthz", responses={503: {"model": Health, "description": "No registry."}})
def health(parts: PartsDep, response: Response) -> Health:
    """Tell what of this process works."""
    now = service.health(parts)
    if now.status == "down":
        response.status_code = 503
    return now


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(parts: PartsDep) -> Response:
    """Return Prometheus metrics."""
    return Response(generate_latest(parts.collector), media_type=CONTENT_TYPE_LATEST)
