"""The rescue agent: what a terminal still does when it has no application that works.

Stays in the partition `vfs` as source, linked from these modules and those of the device that it
shares (link, clock, supervisor): see `provisioning/rescue.py` and docs/firmware.md, "Rescue".
"""
