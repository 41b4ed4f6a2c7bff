"""What a device accepts and refuses is what the golden vectors say: `lean.py messages.json`."""

import json
import sys

from wire_protocol import lean, lean_told
from wire_protocol.errors import WireError
from wire_protocol.lean_mute import parse_mute

PARSERS = {
    "receipt": lean.parse_receipt,
    "command": lean_told.parse_command,
    "sos_status": lean_told.parse_sos_status,
    "watch": lean_told.parse_watch,
    "mute": parse_mute,
}


# Of a command of a later version, whose body a device does not look at: it answers "refused".
IGNORED = ("body too deep", "body with a float", "body with 33 items")


def holds(found, wanted):
    """Say whether all that is wanted was found; names of a later version may be there too."""
    if isinstance(wanted, dict):
        return all(name in found and holds(found[name], wanted[name]) for name in wanted)
    return found == wanted and type(found) is type(wanted)


def check(path):
    """Return how many vectors were tried; AssertionError names the first that differs."""
    with open(path, "rb") as file:  # noqa: PTH123 - runs in MicroPython too
        vectors = json.loads(file.read())
    good = [vector for vector in vectors["good"] if vector["what"] in PARSERS]
    for vector in good:
        payload = vector["payload"].encode()
        found = PARSERS[vector["what"]](payload)
        wanted = vector.get("value") or json.loads(payload)
        assert holds(found, wanted), (vector["what"], vector["name"], found)
    bad = vectors["bad"] + vectors["bad_bytes"]
    bad = [v for v in bad if v["what"] in PARSERS and v["name"] not in IGNORED]
    for vector in bad:
        payload = bytes.fromhex(vector["hex"]) if "hex" in vector else vector["payload"].encode()
        assert refused(vector["what"], payload), (vector["what"], vector["name"], "was accepted")
    return len(good) + len(bad)


def refused(what, payload):
    """Say whether the parser refuses a payload as it should."""
    try:
        PARSERS[what](payload)
    except WireError:
        return True
    return False


if __name__ == "__main__":
    print(check(sys.argv[1]), "vectors")
