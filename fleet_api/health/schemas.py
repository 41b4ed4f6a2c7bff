"""JSON of health."""

from typing import Literal

from pydantic import Field

from fleet_api.kit.schemas import Answer, Ms

Status = Literal["ok", "degraded", "down"]


class Health(Answer):
    """What works: `down` without the registry, `degraded` without telemetry or bus."""

    status: Status = Field(examples=["ok"])
    registry: bool = Field(examples=[True])
    telemetry: bool = Field(examples=[True])
    bus: bool = Field(examples=[True])
    version: str = Field(examples=["0.1.0"])
    instance: str = Field(examples=["1"])
    at_ms: Ms = Field(examples=[1_795_400_000_000])
