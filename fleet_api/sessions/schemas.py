"""JSON of sessions."""

from pydantic import Field

from fleet_api.kit.schemas import Answer, Ms, Question
from fleet_api.kit.texts import Word
from fleet_api.sessions.passwords import PASSWORD_CHARACTERS_MAX, PASSWORD_CHARACTERS_MIN


class SignIn(Question):
    """Name and password."""

    name: Word = Field(min_length=1, examples=["admin"])
    password: str = Field(
        min_length=1, max_length=PASSWORD_CHARACTERS_MAX, examples=["kT4mPz7QwVbN2hXs"]
    )


class SessionOut(Answer):
    """Who is signed in, and what they may see."""

    user: str = Field(examples=["admin"])
    role: str = Field(examples=["admin"], description="viewer, operator or admin.")
    area: str | None = Field(description="12-digit code; null is everything.", examples=[None])
    area_name_zh: str | None = Field(examples=[None])
    area_name_en: str | None = Field(examples=[None])
    expires_ms: Ms = Field(examples=[1_795_543_200_000])


class PasswordChange(Question):
    """The old password proves that it is you; all other sessions of yours end."""

    old: str = Field(
        min_length=1, max_length=PASSWORD_CHARACTERS_MAX, examples=["kT4mPz7QwVbN2hXs"]
    )
    new: str = Field(
        min_length=PASSWORD_CHARACTERS_MIN,
        max_length=PASSWORD_CHARACTERS_MAX,
        examples=["eight-owls-over-songling"],
    )
