"""A first start that fails half-way leaves an installation that somebody can sign in to."""

import pytest
from sqlalchemy import select

from fleet_api.sessions.passwords import Passwords
from storage.registry import open_registry
from storage.registry.models import User
from xunhu.errors import XunhuError
from xunhu.home import Home
from xunhu.up import Up, Wanted


def start_and_fail(home: Home, monkeypatch) -> list[str]:
    """Start with a broker that does not come up; return what was printed."""
    printed: list[str] = []
    up = Up(home, Wanted(devices_port=1, services_port=1, api_port=1), printed.append)

    def fail(_authority) -> None:
        raise XunhuError("the broker does not answer")

    monkeypatch.setattr(up, "_start_servers", fail)
    with pytest.raises(XunhuError, match="does not answer"):
        up._start()
    return printed


def test_the_first_password_is_printed_though_the_start_fails(tmp_path, monkeypatch):
    home = Home(tmp_path / "home")
    [line] = start_and_fail(home, monkeypatch)
    assert "administrator" in line
    registry = open_registry(home.registry_url)
    with registry.read() as session:
        user = session.scalars(select(User)).one()
    registry.close()
    assert Passwords().fits(user.password_hash, line.split()[-1])
    assert start_and_fail(home, monkeypatch) == []  # Shown once.
