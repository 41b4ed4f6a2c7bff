"""The one error of the wire protocol."""


class WireError(Exception):
    """What was to be sent or was received breaks the protocol; says what, and the limit."""
