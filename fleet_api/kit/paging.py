"""Lists in pages: `limit` rows, and where the next page begins."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from fleet_api.errors import InvalidError
from fleet_api.kit.schemas import (
    FLEET_LIMIT_DEFAULT,
    FLEET_LIMIT_MAX,
    LIST_LIMIT_DEFAULT,
    LIST_LIMIT_MAX,
    Page,
)
from fleet_api.kit.texts import Word

R = TypeVar("R")
T = TypeVar("T")

_ID_MAX = 2**63 - 1
Id = Annotated[int, Field(ge=1, le=_ID_MAX)]
Moment = Annotated[int, Field(ge=0, le=_ID_MAX, description="Unix ms.")]


class Asked(BaseModel):
    """The query of a list: unknown names are refused, so a typing error is not silently lost."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: Word | None = Field(
        default=None, description="`next` of the page before.", examples=["t-0200"]
    )


class ListQuery(Asked):
    """A list that a person scrolls through."""

    limit: int = Field(default=LIST_LIMIT_DEFAULT, ge=1, le=LIST_LIMIT_MAX)


class FleetQuery(Asked):
    """A list that may hold the whole fleet."""

    limit: int = Field(default=FLEET_LIMIT_DEFAULT, ge=1, le=FLEET_LIMIT_MAX)


def page(rows: Sequence[R], limit: int, out: Callable[[R], T], key: Callable[[R], str]) -> Page[T]:
    """Return the first `limit` of `rows` (asked for with one more than that) as a page."""
    shown = rows[:limit]
    return Page[T](
        items=[out(row) for row in shown], next=key(shown[-1]) if len(rows) > limit else None
    )


def before_id(after: str | None) -> int:
    """Return the id below which a newest-first list goes on.

    Raises:
        InvalidError: `after` is no such id.
    """
    if after is None:
        return _ID_MAX
    if not (after.isascii() and after.isdigit() and len(after) < 19):
        raise InvalidError("after", f"{after[:40]!r} is not the `next` of a page.")
    return int(after)
