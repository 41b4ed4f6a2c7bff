"""The area tree as a caller sees it."""

from sqlalchemy.orm import Session

from fleet_api.areas import repository
from fleet_api.areas.schemas import AreaOut
from fleet_api.kit.paging import page
from fleet_api.kit.schemas import Page
from fleet_api.kit.scope import Scope
from storage.registry.models import Area


def areas(session: Session, scope: Scope, after: str, limit: int) -> Page[AreaOut]:
    """Return one page of the areas in `scope` and above it."""
    rows = repository.areas(session, scope, after, limit + 1)
    return page(rows, limit, area_out, lambda area: area.code)


def area_out(area: Area) -> AreaOut:
    """Return an area as JSON shows it."""
    return AreaOut(
        code=area.code,
        name_zh=area.name_zh,
        name_en=area.name_en,
        level=area.level,
        parent_code=area.parent_code,
        lat_e6=area.lat_e6,
        lon_e6=area.lon_e6,
    )
