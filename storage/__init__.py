"""What must survive: the registry (cases, commands, devices) and telemetry (tracks, readings)."""
