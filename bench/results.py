"""How every bench ends: JSON on the last line, and the same in bench/results/."""

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


def percentile(values: list[float], share: float) -> float:
    """Return the value below which this share of all lies; the highest of a few."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
