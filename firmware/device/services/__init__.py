"""What both kinds of device do: send the journal, report the state, run commands."""
