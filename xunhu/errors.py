"""What the command line reports to its user; `cli.main` prints it in one line and exits once."""


class XunhuError(Exception):
    """A command cannot go on; the message names what is missing or wrong, and where."""
