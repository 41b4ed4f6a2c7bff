import pytest
from sqlalchemy import select

from fleet_api.errors import ConflictError, NotFoundError
from fleet_api.users.service import (
    create_first_admin,
    disable_demo_operator,
    ensure_demo_operator,
    reset_password,
)
from storage.registry.models import User
from storage.registry.session import migrate, open_registry
from tests.fleet_api.district import DISTRICT, EAST, PASSWORD, SONGLING, WEST

NEW = {"name": "wang.fang", "role": "operator", "area_code": EAST, "password": PASSWORD}


def user_id(browser, name: str) -> int:
    return next(u["id"] for u in browser.get("/users").json()["items"] if u["name"] == name)


def test_the_first_administrator_gets_a_random_password_once(tmp_path, capsys):
    url = f"sqlite:///{tmp_path / 'registry.sqlite'}"
    migrate(url)
    registry = open_registry(url)
    password = create_first_admin(registry)
    assert len(password) == 16
    assert create_first_admin(registry) is None
    with registry.read() as session:
        [user] = session.scalars(select(User))
    assert (user.name, user.role, user.area_code) == ("admin", "admin", None)
    assert password not in user.password_hash
    assert capsys.readouterr().out == ""
    registry.close()


def test_a_reset_password_works_and_ends_all_sessions(api, registry, audited):
    browser = api.as_user("operator")
    password = reset_password(registry, "operator")
    assert browser.get("/session").status_code == 401
    for word, status in ((PASSWORD, 401), (password, 200)):
        answer = api.browser().post("/session", {"name": "operator", "password": word})
        assert answer.status_code == status
    [row] = audited("password.reset")
    assert (row.user_name, row.details) == ("system", {"user": "operator"})


def test_nobody_unknown_is_reset(registry):
    with pytest.raises(NotFoundError):
        reset_password(registry, "nobody")


def test_a_new_user_signs_in_and_sees_the_area(api, audited):
    created = api.as_user("admin").post("/users", NEW)
    assert created.status_code == 201
    assert created.json()["name"] == "wang.fang"
    assert "password" not in created.text
    answer = api.browser().post("/session", {"name": "wang.fang", "password": PASSWORD})
    assert answer.json()["area"] == EAST
    [row] = audited("user.create")
    assert row.details == {"user": "wang.fang", "role": "operator", "area_code": EAST}


@pytest.mark.parametrize(
    ("change", "status", "field_or_code"),
    [
        ({"name": "west"}, 409, "name_taken"),
        ({"name": "W"}, 422, "name"),
        ({"name": "Wang"}, 422, "name"),
        ({"name": "-x"}, 422, "name"),
        ({"name": "火" * 14}, 422, "name"),  # 42 bytes.
        ({"name": "a" * 41}, 422, "name"),
        ({"name": "раypal"}, 422, "name"),  # Cyrillic letters that look Latin.
        ({"role": "root"}, 422, "role"),
        ({"area_code": "530199009000"}, 422, "area_code"),
        ({"area_code": "53"}, 422, "area_code"),
        ({"password": "short"}, 422, "password"),
        ({"password": "x" * 201}, 422, "password"),
    ],
    ids=str,
)
def test_what_a_new_user_may_not_be(api, change, status, field_or_code):
    answer = api.as_user("admin").post("/users", {**NEW, **change})
    assert answer.status_code == status
    error = answer.json()["error"]
    assert field_or_code in (error["code"], error["details"].get("field"))


@pytest.mark.parametrize("name", ["火" * 13, "a" * 40, "王芳", "wang-fang_2.x"])
def test_names_at_the_limit(api, name):
    assert api.as_user("admin").post("/users", {**NEW, "name": name}).status_code == 201


@pytest.mark.parametrize("area", [None, DISTRICT, WEST])
def test_nobody_gives_more_than_they_have(api, area):
    head = api.as_user("east.head")
    answer = head.post("/users", {**NEW, "area_code": area})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"] == {"field": "area_code"}
    own = user_id(head, "east.head")
    assert head.patch(f"/users/{own}", {"area_code": area}).status_code == 422
    assert head.post("/users", {**NEW, "area_code": SONGLING}).status_code == 201


def test_a_scoped_administrator_reaches_no_account_outside(api):
    admin, head = api.as_user("admin"), api.as_user("east.head")
    names = {user["name"] for user in head.get("/users").json()["items"]}
    assert names == {"east.head", "east", "songling"}
    for name in ("west", "admin", "operator"):
        answer = head.patch(f"/users/{user_id(admin, name)}", {"role": "viewer"})
        assert answer.status_code == 404


def test_a_change_ends_the_sessions_so_that_it_holds_at_once(api, audited):
    east = api.as_user("east")
    admin = api.as_user("admin")
    changed = admin.patch(f"/users/{user_id(admin, 'east')}", {"role": "viewer"}).json()
    assert changed["role"] == "viewer"
    assert changed["area_code"] == EAST
    assert east.get("/session").status_code == 401
    [row] = audited("user.change")
    assert row.details == {"user": "east", "role": "viewer", "password": False}


def test_disable_and_enable(api):
    admin = api.as_user("admin")
    number = user_id(admin, "east")
    body = {"name": "east", "password": PASSWORD}
    assert admin.patch(f"/users/{number}", {"disabled": True}).json()["disabled_ms"]
    assert api.browser().post("/session", body).status_code == 401
    assert admin.patch(f"/users/{number}", {"disabled": False}).json()["disabled_ms"] is None
    assert api.browser().post("/session", body).status_code == 200


@pytest.mark.parametrize("change", [{"role": "viewer"}, {"disabled": True}, {"area_code": EAST}])
def test_the_last_administrator_of_everything_stays(api, change):
    admin = api.as_user("admin")
    answer = admin.patch(f"/users/{user_id(admin, 'admin')}", change)
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "last_admin"
    assert admin.get("/session").status_code == 200


def demo_sign_in(api, password: str) -> int:
    return api.browser().post("/session", {"name": "demo", "password": password}).status_code


def test_the_demos_operator_comes_and_goes(api, registry, audited):
    ensure_demo_operator(registry, "demo", "first-demo-password")
    assert demo_sign_in(api, "first-demo-password") == 200
    ensure_demo_operator(registry, "demo", "first-demo-password")
    assert len(audited("user.change")) == 1  # Nothing changed, so nothing is written.
    ensure_demo_operator(registry, "demo", "other-demo-password")
    assert demo_sign_in(api, "first-demo-password") == 401
    token = api.browser().post("/session", {"name": "demo", "password": "other-demo-password"})
    browser = api.browser(token.cookies["xunhu_session"])
    assert browser.get("/session").json()["role"] == "operator"
    disable_demo_operator(registry, "demo")
    disable_demo_operator(registry, "demo")
    assert browser.get("/session").status_code == 401
    assert demo_sign_in(api, "other-demo-password") == 401
    ensure_demo_operator(registry, "demo", "other-demo-password")
    assert demo_sign_in(api, "other-demo-password") == 200


def test_a_real_account_is_not_taken_for_the_demos(district, registry):
    del district
    with pytest.raises(ConflictError):
        ensure_demo_operator(registry, "admin", "first-demo-password")
    disable_demo_operator(registry, "admin")
    disable_demo_operator(registry, "nobody")
    with registry.read() as session:
        admin = session.scalars(select(User).where(User.name == "admin")).one()
    assert admin.disabled_ms is None
