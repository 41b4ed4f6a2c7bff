"""What the tests of the live view say again and again."""

from tests.fleet_api.district import now_ms


def position(device: str, at_ms: int, **more) -> dict:
    return {
        "kind": "position",
        "device": device,
        "at_ms": at_ms,
        "lat_e6": 25_040_123,
        "lon_e6": 102_710_456,
        "speed_cms": 120,
        "course_deg": 44,
        "accuracy_m": 5,
        "clock": "gnss",
        "received_ms": now_ms(),
        **more,
    }


def viewing(process, district, who: str = "operator"):
    return process.browser(district.tokens[who]).live()


def wait_until_quiet(view, seconds: float = 2.5) -> None:
    """Read until nothing came for longer than two looks of the follower."""
    while True:
        try:
            view.next(seconds)
        except TimeoutError:
            return


def wait_for_status(view, **fields: object) -> None:
    while True:
        message = view.next(20)
        if message["type"] == "status" and fields.items() <= message.items():
            return


def device_of(delta: dict) -> str:
    if delta["kind"] in ("event", "case", "command"):
        return delta[delta["kind"]]["device"]
    return delta["device"]["id"] if delta["kind"] == "device" else delta["device"]
