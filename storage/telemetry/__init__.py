"""Tracks, readings and states: written once, read by device and time."""
