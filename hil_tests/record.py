"""What came of one run: data that a report shows, and that crosses between processes."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Self

from hil_tests.board import Firmware


@dataclass(frozen=True)
class Row:
    """One expectation beside what was seen.

    Attributes:
        from_s, to_s: When it was to be seen; None when what it waits for did not happen.
        seen_s: When it was.
        problem: Why it failed; empty when it did not.
    """

    name: str
    expected: str
    from_s: float | None
    to_s: float | None
    seen_s: float | None
    problem: str


@dataclass(frozen=True)
class Record:
    """One run of one scenario on one board.

    Attributes:
        done, seen: (seconds since the start, words).
        seconds: How long it took, with flashing and coming to rest.
        account: What broke the promise that everything sealed is stored once, or the budget of
            memory; empty is well.
        heap_low: The fewest bytes of heap that a state said were free.
        notes: What had to be done before it could begin.
    """

    scenario: str
    title: str
    board: str
    device: str
    firmware: Firmware
    seconds: float
    rows: list[Row]
    done: list[tuple[float, str]]
    seen: list[tuple[float, str]]
    account: list[str]
    heap_low: int | None = None
    notes: list[str] = field(default_factory=list)

    def problems(self) -> list[str]:
        """Return everything that is wrong, in words."""
        found = []
        for row in self.rows:
            if row.problem:
                window = "" if row.from_s is None else f", due {row.from_s:.1f}..{row.to_s:.1f} s"
                seen = "" if row.seen_s is None else f", seen at {row.seen_s:.1f} s"
                found.append(f"{row.name}: {row.expected}: {row.problem}{window}{seen}")
        return found + self.account

    def timeline(self) -> str:
        """Return what was done and seen as lines of text."""
        lines = [(at_s, f"-> {words}") for at_s, words in self.done]
        lines += [(at_s, f"   {words}") for at_s, words in self.seen]
        ordered = sorted(lines, key=lambda line: line[0])
        before = [f"  before   {words}" for words in self.notes]
        return "\n".join([*before, *(f"{at_s:8.2f} s {words}" for at_s, words in ordered)])

    def as_data(self) -> dict[str, Any]:
        """Return it as plain data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Self:
        """Take back what `as_data` gave."""
        return cls(
            **data
            | {
                "firmware": Firmware(**data["firmware"]),
                "rows": [Row(**row) for row in data["rows"]],
                "done": [(at_s, words) for at_s, words in data["done"]],
                "seen": [(at_s, words) for at_s, words in data["seen"]],
            }
        )
