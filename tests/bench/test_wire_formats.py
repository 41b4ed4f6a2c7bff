"""The comparison of formats notices what a format loses."""

import pytest

from bench.wire_formats import FORMATS
from bench.wire_tracks import generated_walk


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
@pytest.mark.parametrize(
    "place", range(6), ids=("time", "lat", "lon", "speed", "course", "radius")
)
def test_a_format_that_loses_a_field_is_noticed(form, place):
    fixes = generated_walk(12)
    if place == len(form.keeps(fixes[0])):
        return  # It has no such field.
    assert form.decode(form.encode(fixes)) == [form.keeps(fix) for fix in fixes]
    steps = (1000, 1, 1, 200, 2, 1)
    changed = [list(fix) for fix in fixes]
    changed[5][place] = (changed[5][place] + steps[place]) % (360 if place == 4 else 10**13)
    others = [type(fixes[0])(*fix) for fix in changed]
    assert form.decode(form.encode(others)) != [form.keeps(fix) for fix in fixes]
