"""Reads tables of TOML strictly: whatever is wrong is named with its file, field and limit."""

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Self

from hil_tests.errors import FileError

FILE_BYTES_MAX = 1_000_000
TEXT_CHARACTERS_MAX = 500
_REQUIRED: Any = object()


class Table:
    """One table; each read takes a field, and `finish` refuses those that nobody took.

    Args:
        source: The file, for messages.
        content: What it holds.
        path: Where in the file this table is, such as `expect[2]`.
        values: What a text "$name" stands for where a number is asked for.
    """

    def __init__(
        self,
        source: str,
        content: Mapping[str, Any],
        path: str = "",
        values: Mapping[str, float] | None = None,
    ) -> None:
        self._source, self._content, self.path = source, content, path
        self._values = values or {}
        self._taken: set[str] = set()

    @classmethod
    def load(cls, path: Path, values: Mapping[str, float] | None = None) -> Self:
        """Read a file.

        Raises:
            FileError: It cannot be read or is no TOML.
        """
        try:
            with path.open("rb") as file:
                raw = file.read(FILE_BYTES_MAX + 1)
            if len(raw) > FILE_BYTES_MAX:
                raise FileError(f"{path}: more than {FILE_BYTES_MAX} bytes")
            return cls(str(path), tomllib.loads(raw.decode()), values=values)
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise FileError(f"{path}: {error}") from error

    def wrong(self, name: str, reason: str) -> FileError:
        """Return the error that says what is wrong with a field."""
        return FileError(f"{self._source}: {self._where(name)}: {reason}")

    def has(self, name: str) -> bool:
        """Tell whether a field is there."""
        return name in self._content

    def names(self) -> list[str]:
        """Return the names of all fields."""
        return list(self._content)

    def text(
        self,
        name: str,
        default: Any = _REQUIRED,
        *,
        among: Collection[str] = (),
        characters_max: int = TEXT_CHARACTERS_MAX,
    ) -> Any:
        """Return a text, one of a few if `among` says so."""
        value = self._take(name, default)
        if value is default and default is not _REQUIRED:
            return value
        if not isinstance(value, str):
            raise self.wrong(name, f"{value!r} is no text")
        if among and value not in among:
            raise self.wrong(name, f"{value!r} is none of {', '.join(sorted(among))}")
        if not 1 <= len(value) <= characters_max:
            raise self.wrong(name, f"{len(value)} characters, 1 to {characters_max} can be")
        return value

    def whole(self, name: str, low: int, high: int, default: Any = _REQUIRED) -> Any:
        """Return a whole number from low to high."""
        value = self._number(name, default)
        if value is default and default is not _REQUIRED:
            return value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.wrong(name, f"{value!r} is no whole number from {low} to {high}")
        return value

    def number(self, name: str, low: float, high: float, default: Any = _REQUIRED) -> Any:
        """Return a number from low to high."""
        value = self._number(name, default)
        if value is default and default is not _REQUIRED:
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(name, f"{value!r} is no number")
        if not low <= value <= high:
            raise self.wrong(name, f"{value} is not from {low} to {high}")
        return float(value)

    def flag(self, name: str, default: Any = _REQUIRED) -> Any:
        """Return true or false."""
        value = self._take(name, default)
        if value is not default and not isinstance(value, bool):
            raise self.wrong(name, f"{value!r} is neither true nor false")
        return value

    def any(self, name: str, default: Any = _REQUIRED) -> Any:
        """Return a value whose shape the caller checks."""
        return self._take(name, default)

    def table(self, name: str, *, optional: bool = False) -> "Table":
        """Return a table inside this one; an empty one if it may be left out."""
        value = self._take(name, {} if optional else _REQUIRED)
        if not isinstance(value, dict):
            raise self.wrong(name, f"{value!r} is no table")
        return Table(self._source, value, self._where(name), self._values)

    def tables(self, name: str, most: int, *, least: int = 0) -> list["Table"]:
        """Return the tables of an array, `[[name]]`."""
        value = self._take(name, [])
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            raise self.wrong(name, "is no array of tables")
        if not least <= len(value) <= most:
            raise self.wrong(name, f"{len(value)} of them, {least} to {most} can be")
        return [
            Table(self._source, row, f"{self._where(name)}[{number}]", self._values)
            for number, row in enumerate(value, 1)
        ]

    def one_of(self, names: Collection[str]) -> str:
        """Return which one of these fields is there.

        Raises:
            FileError: None is, or more than one.
        """
        found = [name for name in self._content if name in names]
        if len(found) != 1:
            listed = ", ".join(sorted(names))
            have = " and ".join(found) if found else "none"
            raise self.wrong(self.path or "file", f"needs exactly one of {listed}; has {have}")
        return found[0]

    def finish(self) -> None:
        """Refuse fields that nobody asked for: a misspelt one must not be passed over."""
        for name in self._content:
            if name not in self._taken:
                known = ", ".join(sorted(self._taken)) or "none"
                raise self.wrong(name, f"is no field here; there are {known}")

    def _take(self, name: str, default: Any) -> Any:
        self._taken.add(name)
        if name not in self._content:
            if default is _REQUIRED:
                raise self.wrong(name, "is missing")
            return default
        return self._content[name]

    def _number(self, name: str, default: Any) -> Any:
        value = self._take(name, default)
        if isinstance(value, str) and value.startswith("$"):
            if value[1:] not in self._values:
                known = ", ".join(sorted(self._values)) or "none"
                raise self.wrong(name, f"{value!r} is no name of [vary]; there are {known}")
            return self._values[value[1:]]
        return value

    def _where(self, name: str) -> str:
        if name == self.path:
            return name
        return f"{self.path}.{name}" if self.path else name
