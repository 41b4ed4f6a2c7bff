"""Hardware in the loop: tests ask for a stage of a device, on a virtual rig or on a bench.

A rig file says what there is (`rig_file`), a scenario file what happens and what must be seen
(`scenario_file`); `runner` plays one on a place of the other. Only the backends know ports.
"""
