"""Cases: what an SOS or an alarm opened, who took it, how it ended."""
