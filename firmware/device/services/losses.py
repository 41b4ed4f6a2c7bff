"""What the journal had to drop becomes records; loaded when there is something, then dropped."""


def name(logbook) -> None:
    """Seal a record `dropped` for each range, as far as there is room for them."""
    # Read anew for each: sealing one may drop more, even add to the range just sealed.
    while logbook.journal.lost():
        stream, first, count, kinds = logbook.journal.lost()[0]
        fields = {"stream": stream, "first": first, "count": count}
        if kinds:
            fields["kinds"] = kinds
        if logbook.event("dropped", fields) is None:
            return
        logbook.journal.named(stream, first, count)
