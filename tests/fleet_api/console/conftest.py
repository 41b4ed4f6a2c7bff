"""The built console in a real browser, over a real API and broker, without a single device."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.fleet_api.console.browser import ARGUMENTS, Console

# Drawing a map in software takes its time on a machine that does other things as well.
expect.set_options(timeout=20_000)


# Not the package's: it would live on while the same worker opens browsers for other tests, and
# Playwright takes only one at a time.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def console(browser, server) -> Iterator[Console]:
    """A page that nobody is signed in on."""
    console = Console.open(browser, server)
    yield console
    console.close()
