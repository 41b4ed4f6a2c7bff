"""Devices with their last known state, position and readings."""
