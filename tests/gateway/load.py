"""A small fleet that never stops talking."""

import random
import threading

from tests.gateway.fake_device import FakeDevice, Ticking
from tests.gateway.installation import Installation, wait_for


class Fleet:
    """Terminals and sensor nodes that make records until told to stop, and resend them."""

    def __init__(
        self, installation: Installation, size: int = 12, period_s: float = 0.03, seed: int = 1
    ) -> None:
        names = [f"{'s' if n % 4 == 3 else 't'}-{n:04}" for n in range(size)]
        installation.add_devices(names)
        self.dice = random.Random(seed)
        self.devices = [FakeDevice(installation, name, epoch=100 + n) for n, name in
                        enumerate(names)]  # fmt: skip
        self._period_s = period_s
        self._stopping = threading.Event()
        self._maker = threading.Thread(target=self._make, daemon=True)
        self._ticking = Ticking(self.devices)

    def __enter__(self) -> "Fleet":
        for device in self.devices:
            device.connect()
        self._ticking.__enter__()
        self._maker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.be_quiet()
        self._ticking.__exit__()
        for device in self.devices:
            device.disconnect()

    def be_quiet(self) -> None:
        """Make nothing more; go on resending."""
        self._stopping.set()
        if self._maker.is_alive():
            self._maker.join()

    def wait_until_empty(self, timeout_s: float = 60.0) -> None:
        """Return once every record is receipted."""
        wait_for(self._is_empty, timeout_s, "every journal empty")

    @property
    def held(self) -> int:
        return sum(len(device.journal) for device in self.devices)

    def _is_empty(self) -> bool:
        return all(device.is_empty() for device in self.devices)

    def _make(self) -> None:
        while not self._stopping.wait(self._period_s):
            device = self.dice.choice(self.devices)
            if device.device.startswith("s-"):
                device.reading("smoke", *[self.dice.randrange(300) for _ in range(3)])
            else:
                device.fixes(self.dice.choice((1, 5, 12)))
            if self.dice.random() < 0.2:
                device.event("report", text=f"雨 {self.dice.random()}")
            if self.dice.random() < 0.1:
                device.result(f"{self.dice.getrandbits(64):016x}")
