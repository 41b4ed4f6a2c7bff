"""Shapes every feature's JSON shares."""

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

LIST_LIMIT_MAX = 1_000  # A page that a person scrolls through.
LIST_LIMIT_DEFAULT = 200
FLEET_LIMIT_MAX = 20_000  # A whole fleet in one answer: ten times the district's 1,436.
FLEET_LIMIT_DEFAULT = 5_000

T = TypeVar("T")
Json = dict[str, Any]
Ms = Annotated[int, Field(description="Unix time in milliseconds.", ge=0)]


class Answer(BaseModel):
    """What we send: fields are checked, unknown ones would be our own mistake."""

    model_config = ConfigDict(extra="forbid")


class Question(BaseModel):
    """What a caller sends: unknown fields are refused, so a typing error is not silently lost."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Page(Answer, Generic[T]):
    """Some of a list, and where it goes on."""

    items: list[T]
    next: str | None = Field(
        default=None,
        examples=[None],
        description="Give it as `after` for the next page; null at the end.",
    )


class ErrorInfo(Answer):
    """What went wrong."""

    code: str = Field(description="For programs; never changes.", examples=["case_taken"])
    message: str = Field(
        description="For people.",
        examples=["Case 12 was taken by wang at 2026-11-23T02:00:00Z."],
    )
    details: dict[str, object] = Field(default_factory=dict, examples=[{"taken_by": "wang"}])


class ErrorBody(Answer):
    """Every answer with a status of 400 or more."""

    error: ErrorInfo
