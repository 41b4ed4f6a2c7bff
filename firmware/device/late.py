"""Parts that are needed now and then are loaded for that moment and dropped again."""

import sys


def forget(name: str) -> None:
    """Drop a module that an import inside a function has loaded; its memory is free again."""
    sys.modules.pop(name, None)
    package, _, leaf = name.rpartition(".")
    package = sys.modules.get(package)
    if hasattr(package, leaf):
        delattr(package, leaf)
