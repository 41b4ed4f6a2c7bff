"""Commands that both kinds of device know and seldom get; loaded for the moment, then dropped."""

from device.late import forget

RESET_MS = 3_000  # Until the result "accepted" is with the broker.


def do(station, kind: str, body: dict, command: str) -> tuple:
    """Run a command: (status, reason, data)."""
    if kind == "read_log":
        return _read_log(station, body["first"])
    if kind == "self_test":
        return "done", "", _self_test(station)
    if kind == "reboot":
        # The start that follows finds the command in the ledger, and this as its answer.
        return _restart(station, None, [None, command, "done", ""])
    if kind == "configure":
        from wire_protocol.configure import wrong

        reason = wrong(body["settings"])
        forget("wire_protocol.configure")
        if reason:
            return "refused", reason, None
        return _restart(station, [command, body["settings"]], None)
    return "refused", "not on this kind of device", None


def _read_log(station, first: int) -> tuple:
    from device.crashes import lines

    try:
        return "done", "", lines(station.kept, first)
    finally:
        forget("device.crashes")


def _self_test(station) -> dict:
    """Return part -> "ok", or what is wrong with it."""
    board, logbook = station.board, station.logbook
    mark = board.uptime_ms()
    found = {
        "flash": "ok" if station.kept.save("self_test", mark) else "refuses to write",
        "journal": "ok",
        "link": "ok" if station.link.up.is_set() else station.link.trouble or "down",
        "clock": ("none", "rtc", "server", "gnss")[station.clock.quality],
    }
    if station.kept.load("self_test") != mark:
        found["flash"] = "does not keep"
    if logbook.faults:
        found["journal"] = ", ".join(sorted(logbook.faults))
    battery_mv = board.battery_mv()
    found["battery"] = "none" if battery_mv is None else "{} mV".format(battery_mv)
    found["held"] = str(sum(logbook.held(stream) for stream in ("event", "result", "track")))
    found.update(station.kind.self_test())
    return found


def _restart(station, trial: list | None, result: list | None) -> tuple:
    if station.kind.state()["sos"]:
        return "refused", "an SOS is open", None
    from device.services.changes import keep

    reason = keep(station.kept, trial, result)
    forget("device.services.changes")
    if reason:
        return "refused" if reason == "busy" else "failed", reason, None
    # A start that ends on purpose did not fail: whoever commands it was heard.
    station.supervisor.on_well()
    station.reset_ms = station.clock.uptime_ms() + RESET_MS
    return "accepted", "", None
