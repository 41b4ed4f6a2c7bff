"""Asking each part whether it works, within a bounded time."""

import logging

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from fleet_api.bootstrap import Parts
from fleet_api.health.schemas import Health, Status
from fleet_api.settings import VERSION
from storage.errors import StorageError

logger = logging.getLogger(__name__)


def health(parts: Parts) -> Health:
    """Return what works of this process now."""
    registry = _registry_works(parts)
    telemetry = parts.last_known.works()
    bus = parts.hub.bus_up
    status: Status = "ok" if registry and telemetry and bus else "degraded" if registry else "down"
    return Health(
        status=status,
        registry=registry,
        telemetry=telemetry,
        bus=bus,
        version=VERSION,
        instance=parts.settings.instance,
        at_ms=parts.now_ms(),
    )


def _registry_works(parts: Parts) -> bool:
    try:
        with parts.registry.read() as session:
            session.execute(text("SELECT 1"))
    except (StorageError, SQLAlchemyError) as error:
        logger.warning("the registry does not answer: %s", error)
        return False
    return True
