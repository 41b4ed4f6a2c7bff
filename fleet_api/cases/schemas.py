"""JSON of cases."""

from pydantic import Field

from fleet_api.events.schemas import EventOut
from fleet_api.kit.paging import Id, ListQuery
from fleet_api.kit.schemas import Answer, Ms, Question
from fleet_api.kit.texts import Printable, Word

REASON_CHARACTERS_MAX = 500


class CaseOut(Answer):
    """A case, with the device it is about, what opened it and what happened last."""

    id: int = Field(examples=[12])
    device: str = Field(examples=["t-0001"])
    kind: str = Field(examples=["sos"], description="sos, or alarm: and the sensor.")
    epoch: int | None = Field(examples=[3_735_928_559])
    incident: int | None = Field(examples=[4])
    status: str = Field(examples=["reported"], description="reported, taken or closed.")
    opened_at_ms: int = Field(examples=[1_795_400_000_000], description="When it happened.")
    opened_received_ms: Ms = Field(examples=[1_795_400_000_400])
    late: bool = Field(examples=[False])
    presses: int = Field(examples=[1], description="How often it was pressed, or raised.")
    acknowledged_presses: int = Field(
        examples=[0], description="So many of them somebody took; fewer than presses: it alerts."
    )
    last_event_id: int | None = Field(examples=[7])
    cancelled_ms: int | None = Field(examples=[None], description="The wearer's cancel.")
    cleared_ms: int | None = Field(examples=[None], description="The alarm's value fell back.")
    taken_by: str | None = Field(examples=[None])
    taken_ms: Ms | None = Field(examples=[None])
    closed_by: str | None = Field(examples=[None])
    closed_ms: Ms | None = Field(examples=[None])
    close_reason: str | None = Field(examples=[None])
    device_name: str = Field(examples=["Terminal 1"])
    device_kind: str = Field(examples=["terminal"])
    area_code: str | None = Field(examples=["530199001201"])
    wearer: str | None = Field(examples=["Li Wei"])
    first_event: EventOut | None = Field(
        description="Of opened_at_ms: its clock, its fix. null: overtaken by a later press."
    )
    last_event: EventOut | None


class Take(Question):
    """What the caller has seen."""

    presses: Id | None = Field(
        default=None,
        examples=[1],
        description="`presses` as your screen shows it; without it, all that there are.",
    )


class Close(Question):
    """Why a case is closed."""

    reason: Printable = Field(
        min_length=1,
        max_length=REASON_CHARACTERS_MAX,
        pattern=r"\S",
        examples=["Twisted ankle; brought home by Zhang Min."],
    )


class Help(Question):
    """Who goes."""

    device: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9-]{1,32}$",
        examples=["t-0002"],
        description="The terminal of who goes: the wearer reads its name and how far it is.",
    )


class CaseQuery(ListQuery):
    """Which cases are meant; every field narrows."""

    open: bool | None = Field(default=None, description="1: open ones; 0: closed ones.")
    device: Word | None = None
    kind: Word | None = None
