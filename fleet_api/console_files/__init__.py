"""The built console's files."""
