"""Areas by administrative code: who sees what.

A code has 12 digits in groups: province 2, city 2, district 2, township 3, village 3; zeros at
the end say that the lower groups are not meant. So a district's code without its zeros is the
prefix of its townships' and villages' codes.
"""

import re
from dataclasses import dataclass

from sqlalchemy import ColumnElement, SQLColumnExpression, true

AREA_CODE_PATTERN = r"^[0-9]{12}$"
Column = SQLColumnExpression[str] | SQLColumnExpression[str | None]
_GROUP_ENDS = (2, 4, 6, 9, 12)


@dataclass(frozen=True)
class Scope:
    """The part of the area tree somebody may see; the empty prefix is everything."""

    prefix: str = ""

    @classmethod
    def of(cls, area_code: str | None) -> "Scope":
        """Return the scope of a user with `area_code` (None: everything).

        Raises:
            ValueError: Not 12 digits; a broken row must never become "everything".
        """
        if area_code is None:
            return cls()
        if not re.match(AREA_CODE_PATTERN, area_code) or area_code == "0" * 12:
            raise ValueError(f"area code {area_code!r} is not 12 digits")
        for end in _GROUP_ENDS:
            if not area_code[end:].strip("0"):
                return cls(area_code[:end])
        raise AssertionError("the last group ends the code")

    @property
    def everything(self) -> bool:
        """True for users without an area."""
        return not self.prefix

    @property
    def above(self) -> list[str]:
        """The codes of the areas that this one lies in."""
        ends = [end for end in _GROUP_ENDS if end < len(self.prefix)]
        return [self.prefix[:end].ljust(12, "0") for end in ends]

    def covers(self, area_code: str | None) -> bool:
        """Tell whether something in `area_code` may be seen; None is seen by 'everything' only."""
        return self.everything or (area_code is not None and area_code.startswith(self.prefix))

    def clause(self, column: Column) -> ColumnElement[bool]:
        """Return the same rule as a condition on a column of area codes."""
        return true() if self.everything else column.like(self.prefix + "%")
