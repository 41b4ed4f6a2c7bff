"""How every bench ends: JSON on the last line, and the same in bench/results/; aims judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")


def write(name: str, result: dict[str, Any]) -> None:
    """Keep and print a result; `bench` names it."""
    result = {"bench": name, **result}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result), flush=True)


def judged(
    value: float | None, *, at_most: float | None = None, at_least: float | None = None
) -> dict[str, Any]:
    """Return an entry of a result's `aims`: {aim, value, met}; what was not measured is not met.

    Args:
        value: What was measured; None: nothing was.
        at_most: The highest value that is well.
        at_least: The lowest one.
    """
    words = [f"at most {at_most}"] if at_most is not None else []
    words += [f"at least {at_least}"] if at_least is not None else []
    met = value is not None
    met = met and (at_most is None or value <= at_most)
    met = met and (at_least is None or value >= at_least)
    return {"aim": ", ".join(words), "value": value, "met": met}


def percentile(values: list[float], share: float) -> float:
    """Return the value below which this share of all lies; the highest of a few."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
