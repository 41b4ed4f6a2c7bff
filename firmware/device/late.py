"""What is needed now and then is loaded for that moment, and what is needed once is dropped."""

import sys


def forget(*names) -> None:
    """Drop modules that an import inside a function has loaded; their memory is free again."""
    for name in names:
        sys.modules.pop(name, None)
        package, _, leaf = name.rpartition(".")
        package = sys.modules.get(package)
        if hasattr(package, leaf):
            delattr(package, leaf)


def make_once(kind, *arguments):  # noqa: ANN201 - of the class, which cannot be said here
    """Return the only object that a class of ours will have; its constructor's memory is free."""
    made = kind(*arguments)
    del kind.__init__
    return made
