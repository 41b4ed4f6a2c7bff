"""Tracks of a period as GeoJSON, GPX and CSV; every look is audited."""
