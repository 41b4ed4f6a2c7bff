"""The device: one package, two kinds of device (terminal, sensor node); see docs/firmware.md."""
