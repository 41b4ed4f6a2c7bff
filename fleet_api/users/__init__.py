"""Accounts: roles and areas."""
