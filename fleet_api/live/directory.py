"""Which device lies in which area, as this process last read it: decides who may see a delta."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Entry:
    """What the live view needs of a device's row."""

    id: str
    kind: str
    name: str
    area_code: str | None
    wearer: str | None
    retired_ms: int | None

    def as_json(self) -> dict[str, Any]:
        """Return the entry as a `device` delta shows it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "name": self.name,
            "area_code": self.area_code,
            "wearer": self.wearer,
            "retired_ms": self.retired_ms,
        }


@dataclass(frozen=True)
class Change:
    """How two readings of the directory differ."""

    added_or_renamed: list[Entry]
    moved: bool  # Some device left an area or was retired: screens must be drawn anew.


def compare(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> Change:
    """Return what changed; a device that nobody knew before is "added"."""
    shown: list[Entry] = []
    moved = bool(before.keys() - after.keys())
    for device_id, entry in after.items():
        old = before.get(device_id)
        if old == entry:
            continue
        if old is None:
            shown.append(entry)
        elif old.area_code != entry.area_code or old.retired_ms != entry.retired_ms:
            moved = True
        else:
            shown.append(entry)
    return Change(shown, moved)
