"""What a store reports; each class is named for what the caller can do about it."""


class StorageError(Exception):
    """A store cannot do what it was asked; the message names what and why."""


class StoreAway(StorageError):
    """The store cannot be reached or cannot write now (locked, full, down): keep, try again."""


class RowsRefused(StorageError):
    """The store will never take these rows; everything else of the same write is stored.

    Attributes:
        rows: The refused rows, as they were given to `write`.
    """

    def __init__(self, rows: list[object], reason: str) -> None:
        super().__init__(reason)
        self.rows = rows
