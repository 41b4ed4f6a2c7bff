"""One fix, as batches carry it; a device holds some before it loads the encoder."""

from collections import namedtuple

Fix = namedtuple("Fix", ("at_ms", "lat_e6", "lon_e6", "speed_cms", "course_deg", "accuracy_m"))
