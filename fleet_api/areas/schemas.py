"""JSON of areas."""

from pydantic import Field

from fleet_api.kit.schemas import Answer


class AreaOut(Answer):
    """One node of the area tree."""

    code: str = Field(examples=["530199001201"])
    name_zh: str = Field(examples=["松岭村"])
    name_en: str = Field(examples=["Songling"])
    level: str = Field(examples=["village"], description="district, township or village.")
    parent_code: str | None = Field(examples=["530199001000"])
    lat_e6: int | None = Field(examples=[25_040_000])
    lon_e6: int | None = Field(examples=[102_710_000])
