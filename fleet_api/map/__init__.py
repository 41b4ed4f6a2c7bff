"""The operator's own map layer."""
