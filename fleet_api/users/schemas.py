"""JSON of accounts."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from fleet_api.kit.schemas import Answer, Ms, Question
from fleet_api.kit.scope import AREA_CODE_PATTERN
from fleet_api.sessions.passwords import PASSWORD_CHARACTERS_MAX, PASSWORD_CHARACTERS_MIN
from wire_protocol.messages import NAME_BYTES_MAX


def check_name(name: str) -> str:
    """Return `name` if a terminal's screen can show it ("taken by ...").

    Raises:
        ValueError: Longer than the wire protocol's NAME_BYTES_MAX.
    """
    if len(name.encode()) > NAME_BYTES_MAX:
        raise ValueError(f"{len(name.encode())} bytes, at most {NAME_BYTES_MAX}")
    return name


Role = Literal["viewer", "operator", "admin"]
Name = Annotated[str, AfterValidator(check_name)]
AreaCode = Annotated[str, Field(pattern=AREA_CODE_PATTERN)]
Password = Annotated[
    str, Field(min_length=PASSWORD_CHARACTERS_MIN, max_length=PASSWORD_CHARACTERS_MAX)
]


class UserOut(Answer):
    """An account; never its password."""

    id: int = Field(examples=[2])
    name: str = Field(examples=["wang.fang"])
    role: Role = Field(examples=["operator"])
    area_code: str | None = Field(examples=["530199001000"])
    created_ms: Ms = Field(examples=[1_795_000_000_000])
    disabled_ms: Ms | None = Field(examples=[None])


class NewUser(Question):
    """An account to be."""

    name: Name = Field(
        min_length=2,
        # Small letters, digits and Chinese characters: nobody can be mistaken for another.
        pattern="^[a-z0-9\u4e00-\u9fff][a-z0-9._\u4e00-\u9fff-]*$",
        examples=["wang.fang"],
    )
    role: Role = Field(examples=["operator"])
    area_code: AreaCode | None = Field(examples=["530199001000"])
    password: Password = Field(examples=["eight-owls-over-songling"])


class UserChange(Question):
    """What is to be different; what is left out stays."""

    role: Role | None = Field(default=None, examples=["viewer"])
    area_code: AreaCode | None = Field(default=None, examples=["530199001201"])
    disabled: bool | None = Field(default=None, examples=[True])
    password: Password | None = Field(default=None, examples=["nine-owls-over-songling"])
