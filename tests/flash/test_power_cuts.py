"""Wherever the power is cut, a terminal boots, knows who it is, and what it sealed is stored once.

Nor does a flash that fails keep an SOS from the command room, or the fault from people.
The firmware runs on a simulated NOR flash under MicroPython's own littlefs; what must be true says
`simulator/session.py`. A job that fails prints the line that cuts there again.
"""

from __future__ import annotations

import concurrent.futures
import os

import pytest

from tests.flash import jobs

CUTS_MIN = 5_000  # `python -m bench.power_cuts` makes 50,000.
PATIENCE_S = (
    900  # For one job on a busy machine; together they take two minutes on two idle cores.
)


@pytest.mark.timeout(1200)
def test_power_cuts_lose_and_double_nothing(image):
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        said = list(pool.map(lambda job: jobs.play(image, job, PATIENCE_S), jobs.test_jobs()))
    assert sum(row.get("cuts", 0) for row in said) >= CUTS_MIN
    # The journal was full in some of them, or this proves nothing about what it gives up then.
    assert sum(row.get("dropped", 0) for row in said) > 0
    # Nor would a flash that fails, if nothing had asked it.
    assert sum(row.get("refused", 0) for row in said) > 0
    assert sum(row.get("unread", 0) for row in said) > 0
    assert sum(row.get("rescues", 0) for row in said) > 0
