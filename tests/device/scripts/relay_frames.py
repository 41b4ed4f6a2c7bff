"""Seals and opens relay frames as a device does: each line in is a JSON list, each line out too.

`["seal", key, low, record]` gives a frame, `["open", key, frame]` what is in it, both in
hexadecimal; what is refused gives its reason.
"""

import binascii
import json
import sys

from device.adapters.relay_seal import Sealer

from wire_protocol import relay
from wire_protocol.errors import WireError

for line in sys.stdin:
    if not line.strip():
        continue
    order, key, *rest = json.loads(line)
    sealer = Sealer(binascii.unhexlify(key))
    try:
        if order == "seal":
            frame = sealer.seal(*relay.encode_record(*rest))
            print(json.dumps(binascii.hexlify(frame).decode()))
        else:
            found = sealer.open(binascii.unhexlify(rest[0]))
            print(json.dumps(found and relay.decode_answer(*found)))
    except WireError as error:
        print(json.dumps({"refused": str(error)}))
