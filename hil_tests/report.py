"""The report of a bench run: HTML for people, JUnit for machines, expected beside seen.

A report says which firmware ran (version, hash, commit) on which board of which rig: without that
a green line proves nothing.
"""

import datetime
import html
import subprocess
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from hil_tests.record import Record, Row

_PROJECT = Path(__file__).parent.parent
_STYLE = """
body { font: 15px/1.4 sans-serif; margin: 2em auto; max-width: 70em; color: #1a1a1a; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .2em .6em; }
tr + tr { border-top: 1px solid #ddd; } .failed { color: #a40000; font-weight: bold; }
.line { position: relative; height: 1.2em; min-width: 22em; background: #f4f4f4; }
.due { position: absolute; top: .35em; height: .5em; background: #9db8d9; }
.seen { position: absolute; top: 0; width: 3px; height: 1.2em; background: #1a1a1a; }
pre { overflow-x: auto; background: #f8f8f8; padding: .6em; font-size: 13px; }
"""


@dataclass(frozen=True)
class Result:
    """One test of the session.

    Attributes:
        outcome: passed | failed | skipped.
        text: Why it failed or was left out.
        record: Of a scenario that was played to its end.
    """

    name: str
    outcome: str
    seconds: float
    text: str = ""
    record: Record | None = None


def commit() -> str:
    """Return the commit of this checkout, with `+` when files differ from it."""
    try:
        said = [
            subprocess.run(
                ["git", *words],
                cwd=_PROJECT,
                capture_output=True,
                text=True,
                check=True,
                timeout=20,
            ).stdout.strip()
            for words in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain", "-uno"))
        ]
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return said[0] + ("+" if said[1] else "")


def write(folder: Path, rig: str, results: list[Result]) -> None:
    """Write report.html and junit.xml."""
    folder.mkdir(parents=True, exist_ok=True)
    made = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    facts = {"rig": rig, "commit": commit(), "made": made} | _facts(results)
    (folder / "report.html").write_text(as_html(facts, results), encoding="utf-8")
    ET.indent(tree := as_junit(facts, results))
    ET.ElementTree(tree).write(folder / "junit.xml", encoding="utf-8", xml_declaration=True)


def _facts(results: list[Result]) -> dict[str, str]:
    records = [result.record for result in results if result.record]
    firmwares = sorted(
        {f"{r.firmware.version} ({r.firmware.hash}) for {r.firmware.board}" for r in records}
    )
    boards = sorted({record.board for record in records})
    return {"firmware": "; ".join(firmwares) or "none", "boards": ", ".join(boards) or "none"}


def as_junit(facts: dict[str, str], results: list[Result]) -> ET.Element:
    """Return the session as JUnit's XML."""
    suite = ET.Element(
        "testsuite",
        name="hil_tests",
        tests=str(len(results)),
        failures=str(sum(result.outcome == "failed" for result in results)),
        skipped=str(sum(result.outcome == "skipped" for result in results)),
        time=f"{sum(result.seconds for result in results):.3f}",
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in facts.items():
        ET.SubElement(properties, "property", name=name, value=value)
    for result in results:
        case = ET.SubElement(
            suite, "testcase", classname="hil_tests", name=result.name,
            time=f"{result.seconds:.3f}",
        )  # fmt: skip
        if result.outcome in ("failed", "skipped"):
            kind = "failure" if result.outcome == "failed" else "skipped"
            first = result.text.splitlines()[0] if result.text else ""
            ET.SubElement(case, kind, message=_xml(first)).text = _xml(result.text)
        if result.record is not None:
            ET.SubElement(case, "system-out").text = _xml(result.record.timeline())
    suites = ET.Element("testsuites")
    suites.append(suite)
    return suites


def as_html(facts: dict[str, str], results: list[Result]) -> str:
    """Return the session as one page that needs nothing else."""
    failed = sum(result.outcome == "failed" for result in results)
    skipped = sum(result.outcome == "skipped" for result in results)
    passed = len(results) - failed - skipped
    head = f"{passed} passed, {failed} failed, {skipped} not on this rig"
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in facts.items()
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Bench report</title>"
        f"<style>{_STYLE}</style><h1>Bench report: {head}</h1><table>{rows}</table>"
        + "".join(_section(result) for result in results)
        + "</html>\n"
    )


def _section(result: Result) -> str:
    mark = {"passed": "✓", "failed": "✗", "skipped": "–"}[result.outcome]
    title = f"{mark} {html.escape(result.name)}: {result.outcome}, {result.seconds:.0f} s"
    parts = [f"<h2 class={result.outcome}>{title}</h2>"]
    if result.text:
        parts.append(f"<pre>{html.escape(result.text)}</pre>")
    if result.record is not None:
        parts.append(_table(result.record))
    return "".join(parts)


def _table(record: Record) -> str:
    times = [t for row in record.rows for t in (row.to_s, row.seen_s) if t is not None]
    end_s = max([1.0, *times, *(at_s for at_s, _ in record.done)])
    rows = "".join(_row(row, end_s) for row in record.rows)
    account = "<br>".join(map(html.escape, record.account)) or "all sealed records stored once"
    notes = "".join(f" Before it: {html.escape(note)}." for note in record.notes)
    return (
        f"<p>{html.escape(record.title)}. {html.escape(record.device)} on "
        f"{html.escape(record.board)}. Account: {account}. "
        f"Heap free at the least: {record.heap_low} bytes.{notes}</p>"
        "<table><tr><th>expected</th><th>due, s</th><th>seen, s</th>"
        f"<th>0 to {end_s:.0f} s</th><th></th></tr>{rows}</table>"
        f"<details><summary>Timeline</summary><pre>{html.escape(record.timeline())}</pre></details>"
    )


def _row(row: Row, end_s: float) -> str:
    due, bar = "–", ""
    if row.from_s is not None and row.to_s is not None:
        due = f"{row.from_s:.1f} to {row.to_s:.1f}"
        left, width = 100 * row.from_s / end_s, 100 * (row.to_s - row.from_s) / end_s
        bar = f"<span class=due style='left:{left:.2f}%;width:{width:.2f}%'></span>"
    seen = "–"
    if row.seen_s is not None:
        seen = f"{row.seen_s:.1f}"
        bar += f"<span class=seen style='left:{100 * row.seen_s / end_s:.2f}%'></span>"
    verdict = f"<td class=failed>✗ {html.escape(row.problem)}" if row.problem else "<td>✓"
    expected = f"{html.escape(row.name)}: {html.escape(row.expected)}"
    return (
        f"<tr><td>{expected}</td><td>{due}</td><td>{seen}</td>"
        f"<td><div class=line>{bar}</div></td>{verdict}</td></tr>"
    )


def _xml(text: str) -> str:
    """Leave out what XML cannot hold, such as colours of a terminal."""
    return "".join(c for c in text if c in "\t\n" or c >= " ")
