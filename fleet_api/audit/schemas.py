"""JSON of the audit log."""

from typing import Any

from pydantic import Field

from fleet_api.kit.paging import ListQuery, Moment
from fleet_api.kit.schemas import Answer, Ms
from fleet_api.kit.texts import Word


class AuditOut(Answer):
    """Who did or looked at what."""

    id: int = Field(examples=[9])
    at_ms: Ms = Field(examples=[1_795_400_000_000])
    user_name: str = Field(examples=["admin"])
    action: str = Field(examples=["track.read"])
    device: str | None = Field(examples=["t-0001"])
    details: dict[str, Any] = Field(
        examples=[{"from_ms": 1_795_396_400_000, "to_ms": 1_795_400_000_000, "format": "geojson"}]
    )


class AuditQuery(ListQuery):
    """Which rows are meant; every field narrows."""

    user: Word | None = None
    action: Word | None = None
    device: Word | None = None
    from_ms: Moment | None = None
    to_ms: Moment | None = None
