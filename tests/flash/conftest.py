"""The image that the simulated flash begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.flash.image import compose

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(name="image", scope="session")
def fixture_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a composed flash image, the application beside it."""
    return compose(tmp_path_factory.mktemp("flash"))
