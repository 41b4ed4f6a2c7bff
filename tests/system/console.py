"""The console in Debian's Chromium, as an operator opens it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, expect, sync_playwright

from tests.system.installation import Installation

# Software rendering, and nothing that asks the internet.
BROWSER = (
    "--no-sandbox", "--disable-quic", "--disable-background-networking", "--no-first-run",
    "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
)  # fmt: skip
PROGRAM = "/usr/bin/chromium"


def sign_in(page: Page, installation: Installation) -> None:
    """From the address that `xunhu up` prints to the live map."""
    page.goto(installation.url)
    page.fill("input[name=name]", "demo")
    page.fill("input[name=password]", installation.password)
    page.click("button[type=submit]")
    expect(page.locator("[data-test=live]")).to_have_text("Live", timeout=30_000)


@contextmanager
def opened(installation: Installation) -> Iterator[Page]:
    """A browser of its own with the console in English, signed in."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=BROWSER)
        try:
            context = browser.new_context(locale="en-GB", viewport={"width": 1400, "height": 850})
            page = context.new_page()
            sign_in(page, installation)
            yield page
        finally:
            browser.close()


def cases_shown(page: Page) -> Counter[str]:
    """How many open cases of each device stand in the list."""
    expect(page.locator("[data-test=case]").first).to_be_visible()
    rows = page.locator("[data-test=case]")
    return Counter(
        rows.evaluate_all("elements => elements.map(element => element.dataset.device)")
    )
