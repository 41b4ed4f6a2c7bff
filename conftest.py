"""What holds for all tests: the files that take minutes begin first, so that the others fill up.

`make test` gives each worker whole files (their tests share servers); one that began last would be
waited for alone.
"""

import pytest

# Relative to this folder, the longest first; measured with `--durations`.
_FIRST = (
    "tests/rescue/test_failed_starts.py",
    "tests/flash/test_power_cuts.py",
    "tests/system/test_bad_days.py",
    "tests/device/test_commands.py",
    "tests/system/test_bad_devices.py",
    "hil_tests/test_network_faults.py",
    "hil_tests/test_scenarios.py",
    "tests/rescue/test_journal_lost.py",
    "tests/system/test_server_clock.py",
    "hil_tests/selftests/test_bench.py",
    "tests/gateway/test_crashes.py",
    "tests/xunhu/test_image_command.py",
    "tests/rescue/test_application_lost.py",
    "tests/xunhu/test_command_line.py",
    "tests/system/test_main_job.py",
    "tests/gateway/test_stores_away.py",
    "tests/device/test_terminal.py",
    "tests/boards/test_virtual.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest files first; within a file the order stays."""
    rank = {name: place for place, name in enumerate(_FIRST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(rank)))
