"""What is around the virtual chip: its folder on the host, its wiring, its power switch.

Only the launcher and the virtual board know this module; the application does not.
"""

import json
import time

EXIT_OFF = 0
EXIT_RESET = 3

settings = {}  # rig.json: the receiver, the sensors' first values, the battery.
reset_reason = "power"  # power | software | watchdog: why this run began.
_host = None
_watchdog = None  # (where to say that it was fed, who says so)


def attach(host, watchdog: str) -> None:
    """Take the folder of this device, a VfsPosix; called once by the launcher.

    Args:
        host: The folder.
        watchdog: `DESCRIPTOR:NAME`; empty: there is none. "NAME MS" is a line that is due to be
            written again within so many ms; else whoever reads it ends this process and leaves
            `watchdog` as the reason.
    """
    global _host, settings, reset_reason, _watchdog  # noqa: PLW0603 - one rig a process
    _host = host
    if watchdog:
        descriptor, name = watchdog.split(":")
        _watchdog = open(int(descriptor), "wb", 0), name  # noqa: SIM115 - as long as we run
    with host.open("rig.json", "r") as file:
        settings = json.load(file)
    _forget("control.port")  # The last run's; this one opens its own.
    try:
        with host.open("reset.txt", "r") as file:
            reset_reason = file.read()
        host.remove("reset.txt")
    except OSError:
        # Nobody left a reason: the power was cut, or this is the first start. A clock without a
        # battery forgets the time then.
        _forget("rtc.txt")


def _forget(name: str) -> None:
    try:
        _host.remove(name)
    except OSError:
        pass


def open_file(name: str, mode: str) -> object:
    """Open a file of the device's folder; the application sees only the flash."""
    return _host.open(name, mode)


def rename(old: str, new: str) -> None:
    """Give a file of the device's folder its final name."""
    _host.rename(old, new)


def witness(*words) -> None:
    """Note what was done to the device and what it showed, if rig.json asks for a witness.

    One JSON line each, `[Unix ms, ...]`, in witness.jsonl: what a test compares the stores with.
    True asks for everything, a list for what begins with these words.
    """
    wanted = settings.get("witness")
    if wanted is True or (wanted and words[0] in wanted):
        with _host.open("witness.jsonl", "a") as file:
            json.dump([time.time_ns() // 1_000_000] + list(words), file)
            file.write("\n")


def feed(timeout_ms: int) -> None:
    """Put off the watchdog's bite."""
    if _watchdog:
        try:
            _watchdog[0].write(b"%s %d\n" % (_watchdog[1].encode(), timeout_ms))
        except OSError:
            pass  # Nobody reads it any more.


def reset(reason: str) -> None:
    """Start again with the flash as it is; does not return."""
    with _host.open("reset.txt", "w") as file:
        file.write(reason)
    raise SystemExit(EXIT_RESET)


def power_off() -> None:
    """Switch off; does not return."""
    raise SystemExit(EXIT_OFF)


def rtc_s() -> int:
    """Unix seconds of the chip's clock, 0 while it was never set; runs on over a reset."""
    try:
        with _host.open("rtc.txt", "r") as file:
            set_to_s, at_s = [int(word) for word in file.read().split()]
    except (OSError, ValueError):
        return 0
    return set_to_s + int(time.time()) - at_s


def set_rtc(unix_s: int) -> None:
    """Set the chip's clock; the host's own clock stays as it is."""
    with _host.open("rtc.txt", "w") as file:
        file.write("%d %d" % (unix_s, int(time.time())))
