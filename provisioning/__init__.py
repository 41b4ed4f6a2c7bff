"""Identities, flash images and virtual devices: everything done to a device before it is worn."""
