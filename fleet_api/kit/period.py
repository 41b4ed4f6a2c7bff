"""A period of time in a query, bounded."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query

from fleet_api.errors import InvalidError

# One terminal makes some 17,000 fixes a day when it never rests: a week is 120,000, which a
# browser still draws, and an answer of some 20 MB.
PERIOD_MS_MAX = 7 * 24 * 3600 * 1000
_MS_MAX = 2**53 - 1  # What a browser's numbers hold exactly.


@dataclass(frozen=True)
class Period:
    """From and to, both included, Unix ms."""

    from_ms: int
    to_ms: int


def period(
    from_ms: Annotated[
        int, Query(ge=0, le=_MS_MAX, description="Unix ms.", examples=[1_795_396_400_000])
    ],
    to_ms: Annotated[
        int,
        Query(
            ge=0,
            le=_MS_MAX,
            description="Unix ms; at most 7 days after from_ms.",
            examples=[1_795_400_000_000],
        ),
    ],
) -> Period:
    """Return a checked period.

    Raises:
        InvalidError: It ends before it begins, or is too long.
    """
    if to_ms <= from_ms:
        raise InvalidError("to_ms", f"{to_ms} is not after from_ms {from_ms}.")
    if to_ms - from_ms > PERIOD_MS_MAX:
        raise InvalidError(
            "to_ms", f"{to_ms - from_ms} ms after from_ms, at most {PERIOD_MS_MAX}."
        )
    return Period(from_ms, to_ms)


PeriodDep = Annotated[Period, Depends(period)]
