"""The log of who looked at and did what."""
