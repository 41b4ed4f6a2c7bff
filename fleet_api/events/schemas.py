"""JSON of events."""

from typing import Any

from pydantic import Field

from fleet_api.kit.paging import Id, ListQuery, Moment
from fleet_api.kit.schemas import Answer, Ms
from fleet_api.kit.texts import Word

SOS_BODY = {
    "trigger": "button",
    "incident": 4,
    "press": 1,
    "fix": {
        "lat": 25_040_123,
        "lon": 102_710_456,
        "at": 1_795_400_000_000,
        "accuracy_m": 5,
        "alt_mm": None,
    },
}


class EventOut(Answer):
    """What a device reported: sos, sos_cancel, alarm, report, duty, dropped."""

    id: int = Field(examples=[7])
    device: str = Field(examples=["t-0001"])
    epoch: int = Field(examples=[3_735_928_559])
    seq: int = Field(examples=[4])
    kind: str = Field(examples=["sos"])
    at_ms: int = Field(examples=[1_795_400_000_000], description="When it happened.")
    clock: str = Field(examples=["gnss"], description="none: at_ms is no date.")
    received_ms: Ms = Field(examples=[1_795_400_000_400])
    late: bool = Field(examples=[False])
    body: dict[str, Any] = Field(examples=[SOS_BODY])
    case_id: int | None = Field(examples=[12])


class EventQuery(ListQuery):
    """Which events are meant; every field narrows."""

    device: Word | None = None
    kind: Word | None = None
    case_id: Id | None = None
    from_ms: Moment | None = None
    to_ms: Moment | None = None
