"""Which of two records of a device is the newer one; every "last known" is kept by this rule.

A device counts its records, so within an epoch the higher seq is newer whatever the clock said: a
clock that was once ahead (2099, a receiver's week rollover) must not pin a marker to the map until
that date. An epoch is a random name, so records of two epochs are compared by the time at which
they were taken, unless one of them came from the future; then by the time received. Whoever knew
the time stands above whoever did not. The rule takes no look at the order of arrival, so two
gateways and any order of resending end at the same record.
"""

from typing import NamedTuple

# A clock further ahead of ours than this is wrong, or ours is; neither may decide then.
AHEAD_MS_MAX = 60_000


class Mark(NamedTuple):
    """What decides about one record."""

    dated: bool
    epoch: int
    seq: int
    at_ms: int
    received_ms: int


def is_newer(new: Mark, old: Mark) -> bool:
    """Tell whether `new` takes the place of `old`; an equal one does not."""
    if new.dated != old.dated:
        return new.dated
    if new.epoch == old.epoch:
        return new.seq > old.seq
    if _is_ahead(new) or _is_ahead(old):
        return new.received_ms > old.received_ms
    return new.at_ms > old.at_ms


def _is_ahead(mark: Mark) -> bool:
    return mark.at_ms > mark.received_ms + AHEAD_MS_MAX
