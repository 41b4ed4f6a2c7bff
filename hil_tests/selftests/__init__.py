"""What proves the rig itself: nothing here needs a device."""
