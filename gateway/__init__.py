"""The gateway: alone writes telemetry and alone speaks to devices. Commit, receipt, live delta."""
