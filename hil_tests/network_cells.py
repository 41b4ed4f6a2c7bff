"""Each fault of the network against each thing that a terminal does over it, as scenarios.

The witness is the account that every run settles: what was sealed is stored once, nothing is lost.
"""

from hil_tests.faults import NONE, Faults
from hil_tests.scenario_file import START, Action, Expectation, Scenario, Trace

_HERE = (30_274_085, 120_155_070)
# Until a connection that is dead and does not say so is given up: a ping after 15 s while an SOS
# is open, an unanswered state (every 10 s) repeated three times otherwise. Then a new handshake.
_NOTICED_S = 120.0
_LIMIT_S = 200.0
# Name -> what is wrong, and after how many seconds it ends; None: it stays.
FAULTS: dict[str, tuple[Faults, float | None]] = {
    "latency": (Faults(latency_ms=500), None),
    "jitter": (Faults(latency_ms=100, jitter_ms=600), None),
    "loss": (Faults(loss=0.5), 12.0),
    "black_hole": (Faults(black_hole=True), 8.0),
    "reset": (Faults(reset_bytes=1_200), 8.0),
    "slow_close": (Faults(slow_close_s=5.0), 12.0),
    "half_open": (Faults(half_open=True), 8.0),
    "bandwidth": (Faults(bandwidth_bytes_s=1_500), None),
    "slices": (Faults(slice_bytes=5), None),
}
FLOWS = ("sos", "command", "track", "handshake")


def cell(flow: str, fault: str) -> Scenario:
    """Return the scenario of one cell: the fault begins, the flow begins, the fault ends."""
    faults, healed_s = FAULTS[fault]
    actions = [Action("fault", START, 0.0, "network", faults)]
    if healed_s is not None:
        actions.append(Action("healed", "fault", healed_s, "network", NONE))
    more, expectations = _FLOWS[flow]
    return Scenario(
        name=f"network[{flow}-{fault}]",
        title=f"{flow} with {fault}: {faults}",
        why="Whatever the network does, nothing is lost and nothing is done twice.",
        device="terminal",
        start="booted" if flow == "handshake" else "online",
        duty=True,
        seed=1,
        limit_s=_LIMIT_S,
        settings={},
        trace=Trace(((0.0, *_HERE), (120.0, _HERE[0] + 1_500, _HERE[1])), None, "fix"),
        actions=(*actions, *more),
        expectations=expectations,
    )


def _expect(name: str, kind: str, value: object, **more: object) -> Expectation:
    where = more.pop("where", {})
    assert isinstance(where, dict)
    times = more.pop("times", None)
    assert times is None or isinstance(times, int)
    return Expectation(name, "fault", 0.0, _NOTICED_S, kind, value, where, times)


_FLOWS: dict[str, tuple[tuple[Action, ...], tuple[Expectation, ...]]] = {
    "sos": (
        (Action("pressed", "fault", 0.3, "press", "sos", 1.0),),
        (
            _expect("stored", "event", "sos", times=1),
            _expect("one_case", "case", "sos", times=1),
            _expect("told", "screen", "SOS STORED"),
        ),
    ),
    "command": (
        (
            Action("order", "fault", 0.3, "command",
                   {"kind": "duty", "body": {"on": False}, "ttl_s": 600}),
        ),
        (
            _expect("done", "result", "done", where={"of": "order"}, times=1),
            _expect("carried_out", "event", "duty", where={"by": "command"}, times=1),
        ),
    ),
    "track": ((), (_expect("fixes", "fixes", 3),)),
    "handshake": (
        (Action("link", "fault", 0.1, "link", value=True),),
        (
            _expect("online", "online", value=True),
            _expect("on_duty", "event", "duty", where={"by": "boot"}, times=1),
        ),
    ),
}  # fmt: skip
