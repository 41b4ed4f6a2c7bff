"""Where one installation keeps what it must not lose: `$XUNHU_HOME`, else `./var`."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """The paths below one home folder; nothing is made before it is needed."""

    folder: Path

    @classmethod
    def from_environment(cls) -> "Home":
        """Return the home that the environment names, or ./var."""
        return cls(Path(os.environ.get("XUNHU_HOME", "var")).absolute())

    def make(self) -> None:
        """Make the folder if there is none: for its owner alone, it holds keys and positions."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def registry_url(self) -> str:
        """SQLAlchemy URL of the registry: PostgreSQL when the environment names one."""
        default = f"sqlite:///{self.folder / 'registry.sqlite'}"
        return os.environ.get("XUNHU_REGISTRY_URL", default)

    @property
    def logs(self) -> Path:
        """One log file for each child process."""
        return self.folder / "logs"

    @property
    def devices(self) -> Path:
        """One folder for each virtual device."""
        return self.folder / "devices"

    @property
    def applications(self) -> Path:
        """The signed applications that devices may fetch."""
        return Path(os.environ.get("XUNHU_APPLICATIONS") or self.folder / "applications")

    @property
    def village_map(self) -> Path:
        """The operator's village borders, GeoJSON."""
        return self.folder / "map" / "villages.geojson"

    @property
    def demo_password(self) -> Path:
        """The demo operator's password; exists in a demo home only."""
        return self.folder / "demo-password"
