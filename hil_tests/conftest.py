"""`pytest hil_tests` plays on virtual boards, `pytest hil_tests --rig my.toml` on real ones.

Everything that one test module asks for goes on at once, as far as the rig has boards; each test
then waits for its own run.
"""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hil_tests.errors import NotOnThisRigError
from hil_tests.record import Record
from hil_tests.report import Result, write
from hil_tests.rig import OpenRig
from hil_tests.rig_file import Rig, load_rig
from hil_tests.scenario_file import Scenario

HERE = Path(__file__).parent
_PROPERTY = "hil_record"
_RESULTS = pytest.StashKey[list[Result]]()
# What proves the rig itself and needs no board.
_WITHOUT_BOARDS = ("selftests", "flash_simulator")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options."""
    group = parser.getgroup("hil_tests")
    group.addoption("--rig", type=Path, metavar="FILE", help="the boards of a bench (docs/hil.md)")
    group.addoption("--report", type=Path, metavar="FOLDER", help="report.html and junit.xml")
    group.addoption("--scenarios", type=Path, metavar="FOLDER", help="scenario files of your own")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """On a bench only what is about boards is run."""
    if config.getoption("--rig") and collection_path.name in _WITHOUT_BOARDS:
        return True
    return None


def pytest_configure(config: pytest.Config) -> None:
    """Collect results, those of other processes too."""
    config.stash[_RESULTS] = []
    config.pluginmanager.register(_Collector(config), "hil-results")


class _Collector:
    """Keeps what the report will show."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take one test's outcome."""
        if not report.nodeid.startswith("hil_tests/"):
            return
        if report.when != "call" and not (report.when == "setup" and not report.passed):
            return
        found = [value for name, value in report.user_properties if name == _PROPERTY]
        record = Record.from_data(json.loads(str(found[0]))) if found else None
        name = report.nodeid.removeprefix("hil_tests/")
        text = ""
        if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
            text = str(report.longrepr[2])
        elif report.outcome == "failed":
            text = report.longreprtext
        seconds = report.duration if record is None else record.seconds
        result = Result(name, report.outcome, seconds, text, record)
        self._config.stash[_RESULTS].append(result)

    def pytest_sessionfinish(self) -> None:
        """Write the report where one is wanted; never in a worker of xdist."""
        folder = self._config.getoption("--report")
        if folder and not hasattr(self._config, "workerinput"):
            write(folder, _rig(self._config).name, self._config.stash[_RESULTS])


def _rig(config: pytest.Config, virtual: str = "virtual") -> Rig:
    return load_rig(config.getoption("--rig") or HERE / "rigs" / f"{virtual}.toml")


@pytest.fixture(scope="module")
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The rig, open for one module; which virtual one, the module may say."""
    home = tmp_path_factory.mktemp("rig")
    virtual = getattr(request.module, "VIRTUAL_RIG", "virtual")
    with OpenRig(_rig(request.config, virtual), home) as opened:
        yield opened


class Runs:
    """The runs of one module: all that were selected, at once."""

    def __init__(self, rig: OpenRig, scenarios: list[Scenario], *, width: int) -> None:
        self._rig = rig
        self._pool = ThreadPoolExecutor(max(1, width), thread_name_prefix="run")
        self._futures: dict[str, Future[Record]] = {
            scenario.name: self._pool.submit(rig.run, scenario) for scenario in scenarios
        }

    def judge(self, scenario: Scenario, request: pytest.FixtureRequest) -> None:
        """Wait for a run, give it to the report, and fail if anything was not as expected."""
        try:
            record = self._futures[scenario.name].result()
        except NotOnThisRigError as error:
            if self._rig.is_virtual:
                raise  # Nothing is missing on that one.
            pytest.skip(str(error))
        request.node.user_properties.append((_PROPERTY, json.dumps(record.as_data())))
        problems = record.problems()
        assert not problems, "\n".join([*problems, "", record.timeline()])

    def close(self) -> None:
        """End; what has not begun does not begin any more."""
        self._pool.shutdown(cancel_futures=True)


def _asked(item: pytest.Item, request: pytest.FixtureRequest) -> list[Scenario]:
    """Return the scenario of a selected test of this module."""
    if item.path != request.path or not isinstance(item, pytest.Function):
        return []
    found = item.callspec.params.get("scenario")
    return [found] if isinstance(found, Scenario) else []


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, rig: OpenRig) -> Iterator[Runs]:
    """Begin every run that this module was asked for."""
    scenarios = [scenario for item in request.session.items for scenario in _asked(item, request)]
    width = 1 if any(scenario.parts() for scenario in scenarios) else rig.width
    runs = Runs(rig, scenarios, width=width)
    yield runs
    runs.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test the scenarios that its module names."""
    if "scenario" in metafunc.fixturenames:
        own = metafunc.config.getoption("--scenarios")
        scenarios = metafunc.module.scenarios(own)
        metafunc.parametrize("scenario", scenarios, ids=[scenario.name for scenario in scenarios])
