"""JSON of commands."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from fleet_api.kit.paging import ListQuery
from fleet_api.kit.schemas import Answer, Ms, Question
from fleet_api.kit.texts import Word, check_printable
from wire_protocol import configure
from wire_protocol.messages import (
    LEASE_S_MAX,
    MUTE_S_MAX,
    RING_S_MAX,
    TEXT_BYTES_MAX,
    TTL_S_MAX,
)

TTL_S_DEFAULT = 3_600
# A watch that waited for an absent device would make it talk when nobody looks any more.
WATCH_TTL_S = 30
SETTINGS = (
    *(f"{name} ({low} to {high})" for name, _, low, high in configure.NUMBERS),
    *configure.FLAGS,
    *configure.TEXTS,
    f"{configure.NETWORKS} (a list of [name, password])",
)
IDEMPOTENCY_KEY_MAX = 40  # With the caller's id before it, the column holds 64.


def check_text(text: str) -> str:
    """Return `text` if a terminal can show it.

    Raises:
        ValueError: More than TEXT_BYTES_MAX bytes, blank, or characters that no screen shows.
    """
    size = len(check_printable(text).encode())
    if size > TEXT_BYTES_MAX:
        raise ValueError(f"{size} bytes, at most {TEXT_BYTES_MAX}")
    if not text.strip():
        raise ValueError("blank; at least one character that can be read")
    return text


Ttl = Annotated[
    int, Field(ge=1, le=TTL_S_MAX, description="The command is void after so many seconds.")
]


def check_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Return `settings` if a device takes them.

    Raises:
        ValueError: One of them is unknown or out of its limits, which the message names.
    """
    if reason := configure.wrong(settings):
        raise ValueError(reason)
    return settings


class Order(Question):
    """What every command may say beside its own fields."""

    ttl_s: Ttl = Field(default=TTL_S_DEFAULT, examples=[3600])
    idempotency_key: str | None = Field(
        default=None,
        min_length=1,
        max_length=IDEMPOTENCY_KEY_MAX,
        pattern=r"^[!-~]+$",
        examples=["0d4e8c1a-3f"],
        description="The same key again returns the same command instead of a second one.",
    )


class Message(Order):
    """A text for the terminal's screen."""

    text: Annotated[str, AfterValidator(check_text)] = Field(
        min_length=1,
        examples=["请到东桥。Go to the east bridge."],
        description=f"At most {TEXT_BYTES_MAX} bytes of UTF-8.",
    )
    answers: bool = Field(
        default=False,
        description="The wearer is asked to accept or decline, and says arrived and done.",
    )


class Locate(Order):
    """A fix, now."""


class Duty(Order):
    """On duty or off."""

    on: bool = Field(examples=[True])


class Ring(Order):
    """Light, tone and vibration, to find a terminal or to call its wearer."""

    for_s: int = Field(default=30, ge=1, le=RING_S_MAX, examples=[30])


class Configure(Order):
    """New settings; the device goes back to the old ones by itself if its link does not return."""

    settings: Annotated[dict[str, Any], AfterValidator(check_settings)] = Field(
        examples=[{"batch_s": 30, "silent": False}],
        description="Any of: " + ", ".join(SETTINGS),
    )


class Plain(Order):
    """A command without a word of its own."""


class ReadLog(Order):
    """Crashes and events that the device keeps."""

    first: int = Field(
        default=0, ge=0, le=0xFFFFFFFF, examples=[0], description="The first line wanted."
    )


class Watch(Question):
    """Somebody looks: each fix at once, until the lease ends."""

    lease_s: int = Field(default=60, ge=1, le=LEASE_S_MAX, examples=[60])


class Mute(Order):
    """Silence a sensor's alarm."""

    sensor: Literal[
        "smoke",
        "water_level",
        "door",
        "motion",
        "temperature",
        "humidity",
        "battery",
        "supply",
    ] = Field(examples=["smoke"])
    for_s: int = Field(ge=0, le=MUTE_S_MAX, examples=[600], description="0 ends the mute.")


Status = Literal[
    "queued",
    "sent",
    "delivered",
    "accepted",
    "refused",
    "done",
    "failed",
    "expired",
    "superseded",
]


class CommandOut(Answer):
    """One row of the ledger."""

    id: str = Field(examples=["9f86d081884c7d65"])
    device: str = Field(examples=["t-0001"])
    topic: str = Field(examples=["command"], description="command, mute, sos_status or watch.")
    kind: str = Field(examples=["message"])
    body: dict[str, Any] = Field(examples=[{"text": "请到东桥。Go to the east bridge."}])
    ttl_s: int = Field(examples=[3600])
    created_ms: Ms = Field(examples=[1_795_400_000_000])
    created_by: str = Field(examples=["admin"])
    status: Status = Field(examples=["queued"])
    sent_ms: Ms | None = Field(examples=[None])
    delivered_ms: Ms | None = Field(examples=[None])
    finished_ms: Ms | None = Field(examples=[None])
    reason: str | None = Field(examples=[None])
    data: Any = Field(
        default=None,
        examples=[{"answer": "accept"}],
        description="What the device said with its last result: an answer, a position, a log.",
    )
    attempts: int = Field(examples=[0])


class CommandQuery(ListQuery):
    """Which commands are meant; every field narrows."""

    device: Word | None = None
    status: Status | None = None
    kind: Word | None = None
