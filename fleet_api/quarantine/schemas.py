"""JSON of refused messages; never what they held."""

from pydantic import Field

from fleet_api.kit.paging import ListQuery
from fleet_api.kit.schemas import Answer, Ms
from fleet_api.kit.texts import Word


class RefusedOut(Answer):
    """A message that a gateway refused and keeps."""

    id: int = Field(examples=[3])
    device: str = Field(examples=["t-0001"])
    device_name: str | None = Field(examples=["Terminal 1"], description="null: not registered.")
    wearer: str | None = Field(examples=["Li Wei"])
    area_code: str | None = Field(examples=["530199001201"])
    stream: str = Field(examples=["event"], description="? where no topic of ours could be read.")
    kind: str | None = Field(examples=["sos"], description="sos, where it can be read.")
    code: str | None = Field(
        examples=["unknown_device"],
        description="bad_topic, bad_frame, wrong_kind, unknown_device or store_refused.",
    )
    reason: str = Field(
        examples=["no such device, or it is retired"],
        description="For people; longer numbers, which may say where somebody was, are left out.",
    )
    received_ms: Ms = Field(examples=[1_795_400_000_400])
    acknowledged_by: str | None = Field(
        examples=[None], description="Who has seen a refused SOS; until then it alerts."
    )
    acknowledged_ms: Ms | None = Field(examples=[None])


class RefusedQuery(ListQuery):
    """Which messages are meant; every field narrows."""

    device: Word | None = None
    kind: Word | None = None
