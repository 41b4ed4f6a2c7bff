"""JSON of readings."""

from pydantic import Field

from fleet_api.kit.schemas import Answer, Ms


class ReadingOut(Answer):
    """One value of one sensor."""

    sensor: str = Field(examples=["smoke"])
    unit: str = Field(examples=["ppm"])
    at_ms: int = Field(examples=[1_795_400_000_000])
    value: int = Field(examples=[120])
    clock: str = Field(examples=["server"])
    received_ms: Ms = Field(examples=[1_795_400_001_000])
