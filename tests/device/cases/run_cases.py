"""Runs every case of cases/domain.py in MicroPython; fails with its name."""

import domain

for name in domain.CASES:
    try:
        getattr(domain, name)()
    except Exception:
        print("failed:", name)
        raise
print(len(domain.CASES), "cases")
