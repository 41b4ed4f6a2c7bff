"""Debian's Chromium with the console in it: what it asks, plays and shows."""

from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.fleet_api.district import PASSWORD
from tests.fleet_api.server import ApiThread, wait_until

# Software rendering; and every name but our server's address is unknown: the network is cut.
ARGUMENTS = (
    # Else a browser in which other tests rang for long lets the same site ring without a gesture.
    "--disable-features=MediaEngagementBypassAutoplayPolicies",
    "--no-sandbox", "--disable-quic", "--disable-background-networking", "--no-first-run",
    "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip

# At the edge of the browser: what goes to the speakers is measured, what is said in a system
# notification is written down. Both still happen.
WITNESS = """
(() => {
  window.heard = 0;
  window.notified = [];
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode) {
      const analyser = this.context.createAnalyser();
      connect.call(this, analyser);
      const samples = new Float32Array(analyser.fftSize);
      const timer = setInterval(() => {
        analyser.getFloatTimeDomainData(samples);
        window.heard = Math.max(window.heard, ...samples.map(Math.abs));
      }, 20);
      setTimeout(() => clearInterval(timer), 3000);
    }
    return connect.call(this, target, ...rest);
  };
  const Real = window.Notification;
  window.Notification = class extends Real {
    constructor(title, options) {
      super(title, options);
      window.notified.push([title, options.body]);
    }
  };
})();
"""
AUDIBLE = 0.05  # Of full scale; the alarm plays at a half of it.
PIXELS = """async (png) => {
  const picture = new Image();
  picture.src = "data:image/png;base64," + png;
  await picture.decode();
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, picture.width, picture.height);
  const [red, green, blue] = [0x1f, 0x6f, 0x54];
  const found = [];
  for (let at = 0; at < data.length; at += 4)
    if (Math.abs(data[at] - red) + Math.abs(data[at + 1] - green) +
        Math.abs(data[at + 2] - blue) < 12)
      found.push([(at / 4) % picture.width, Math.floor(at / 4 / picture.width)]);
  return found;
}"""  # The colour of a marker that needs nobody's attention.


@dataclass
class Console:
    """One page of the console; `check` fails on what no page may do."""

    page: Page
    address: str
    elsewhere: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, browser: Browser, server: ApiThread, **context: Any) -> "Console":
        opened = browser.new_context(
            **{
                "locale": "en-GB",
                "viewport": {"width": 1100, "height": 600},
                "reduced_motion": "reduce",
                **context,
            }
        )
        opened.grant_permissions(["notifications"], origin=server.address)
        page = opened.new_page()
        page.add_init_script(WITNESS)
        console = cls(page, server.address)
        page.on("request", console._note)
        page.on("pageerror", lambda error: console.problems.append(str(error)))
        return console

    def _note(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.elsewhere.append(request.url)

    def sign_in(self, name: str = "operator", password: str = PASSWORD) -> None:
        self.page.goto(self.address)
        self.page.fill("input[name=name]", name)
        self.page.fill("input[name=password]", password)
        self.page.click("button[type=submit]")

    def sign_in_and_see(self, name: str = "operator") -> None:
        self.sign_in(name)
        expect(self.get("live")).to_have_attribute("data-is-live", "true")

    def get(self, test: str, **attributes: str) -> Any:
        """What carries this `data-test`, and these other data attributes."""
        more = "".join(f"[data-{name}='{value}']" for name, value in attributes.items())
        return self.page.locator(f"[data-test={test}]{more}")

    def row(self, device: str) -> Any:
        return self.page.locator(f"[data-test=device-list] li[data-device={device}]")

    def wait_for_sound(self) -> None:
        wait_until(lambda: self.page.evaluate("window.heard") > AUDIBLE)

    def notified(self, count: int) -> list[list[str]]:
        """Return the system notifications, once there are so many."""
        wait_until(lambda: self.page.evaluate("window.notified.length") >= count)
        return self.page.evaluate("window.notified")

    def close(self) -> None:
        self.page.context.close()
        assert self.elsewhere == []
        assert self.problems == []
