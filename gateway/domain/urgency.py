"""Which of three lanes an urgent message waits in, told before anything is decoded.

Only the order depends on it: an event that names itself an SOS and is none is refused all the
same, just sooner.
"""

SOS = 0
EVENT = 1
OTHER = 2
LANES = (SOS, EVENT, OTHER)

# In a text of a report the quotes are escaped, so these bytes stand for the kind alone.
_SOS_KIND = b'"kind":"sos'


def lane(topic: str, payload: bytes) -> int:
    """Return the lane of a message: an SOS or its cancel, another event, a result or state."""
    if topic.endswith("/up/relay"):
        return SOS  # Nothing else is relayed.
    if not topic.endswith("/up/event"):
        return OTHER
    return SOS if _SOS_KIND in payload else EVENT
