"""JSON of devices; positions and readings as every part of the API shows them."""

from typing import Any, Literal

from pydantic import Field

from fleet_api.kit.paging import FleetQuery
from fleet_api.kit.schemas import Answer, Ms, Page
from fleet_api.kit.scope import AREA_CODE_PATTERN
from fleet_api.kit.texts import Word


class PositionOut(Answer):
    """Where a device was last; WGS-84."""

    device: str = Field(examples=["t-0001"])
    at_ms: int = Field(examples=[1_795_400_000_000], description="No date when clock is none.")
    lat_e6: int = Field(examples=[25_040_123], ge=-90_000_000, le=90_000_000)
    lon_e6: int = Field(examples=[102_710_456], ge=-180_000_000, le=180_000_000)
    speed_cms: int | None = Field(examples=[120])
    course_deg: int | None = Field(examples=[90])
    accuracy_m: int | None = Field(examples=[5])
    clock: str = Field(examples=["gnss"], description="none, rtc, server or gnss.")
    received_ms: Ms = Field(examples=[1_795_400_001_000])
    late: bool = Field(examples=[False])


class LastReading(Answer):
    """The newest value of one sensor."""

    value: int = Field(examples=[120])
    at_ms: int = Field(examples=[1_795_400_000_000])
    received_ms: Ms = Field(examples=[1_795_400_001_000])


class DeviceOut(Answer):
    """A device with what was last heard of it."""

    id: str = Field(examples=["t-0001"])
    kind: str = Field(examples=["terminal"], description="terminal or sensor_node.")
    name: str = Field(examples=["Terminal 1"])
    area_code: str | None = Field(examples=["530199001201"])
    wearer: str | None = Field(examples=["Li Wei"])
    created_ms: Ms = Field(examples=[1_795_000_000_000])
    retired_ms: Ms | None = Field(examples=[None])
    online: bool | None = Field(examples=[True], description="null: never heard.")
    received_ms: Ms | None = Field(examples=[1_795_400_001_000], description="Of the last state.")
    state: dict[str, Any] | None = Field(
        examples=[{"v": 1, "online": True, "epoch": 7, "boot": 3, "connection": 2, "duty": True}],
        description="The device's own last state message.",
    )
    position: PositionOut | None
    readings: dict[str, LastReading]
    flags: list[str] = Field(examples=[["off_duty", "low_battery"]])


class DevicePage(Page[DeviceOut]):
    """Devices by id."""

    telemetry: bool = Field(
        examples=[True], description="False: positions are the last this process knows."
    )


class DeviceQuery(FleetQuery):
    """Which devices are meant; every field narrows."""

    q: Word = Field(default="", description="In id, name or wearer.")
    kind: Literal["terminal", "sensor_node"] | None = None
    area_code: str | None = Field(default=None, pattern=AREA_CODE_PATTERN)
    include_retired: bool = False
