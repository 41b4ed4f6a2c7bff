"""Sensor readings of a period."""
