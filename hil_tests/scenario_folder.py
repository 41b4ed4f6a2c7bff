"""The scenario files that come with Xunhu, and those of one's own."""

from pathlib import Path

from hil_tests.scenario_file import Scenario, load_scenarios

FOLDER = Path(__file__).parent / "scenarios"


def all_scenarios(own: Path | None) -> list[Scenario]:
    """Return every scenario of our folder, or of another one instead."""
    return [
        scenario
        for path in sorted((own or FOLDER).glob("*.toml"))
        for scenario in load_scenarios(path)
    ]
