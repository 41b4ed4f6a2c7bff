"""Texts from outside: bounded, and nothing in them that a database or a screen cannot hold."""

from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator, StringConstraints


def check_printable(text: str) -> str:
    """Return `text` if it can be stored and shown.

    Raises:
        ValueError: A control character (PostgreSQL refuses U+0000), or half of a character.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("half of a character (a lone surrogate)") from error
    for character in text:
        if character < " " and character not in "\n\t":
            raise ValueError(f"the control character U+{ord(character):04X}")
    return text


Printable = Annotated[str, AfterValidator(check_printable)]
# A word that narrows a list: never longer than the column it is compared with.
Word = Annotated[str, StringConstraints(max_length=40), AfterValidator(check_printable)]
DeviceId = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,32}$", examples=["t-0001"])]
