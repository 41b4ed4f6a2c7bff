"""GeoJSON of last positions."""

from typing import Any, Literal

from pydantic import Field

from fleet_api.kit.schemas import Answer, Ms


class Feature(Answer):
    """One GeoJSON feature."""

    type: Literal["Feature"] = "Feature"
    id: str | None = Field(default=None, examples=["t-0001"])
    geometry: dict[str, Any] = Field(
        examples=[{"type": "Point", "coordinates": [102.710456, 25.040123]}]
    )
    properties: dict[str, Any] = Field(
        examples=[{"device": "t-0001", "name": "Terminal 1", "at_ms": 1_795_400_000_000}]
    )


class PositionsOut(Answer):
    """A GeoJSON FeatureCollection, WGS-84."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    at_ms: Ms = Field(examples=[1_795_400_001_000], description="The server's time.")
    telemetry: bool = Field(
        examples=[True], description="False: the store is away; the last this process knows."
    )
    features: list[Feature]
