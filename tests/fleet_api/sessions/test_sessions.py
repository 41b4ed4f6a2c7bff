import hashlib

import httpx
import pytest
from sqlalchemy import select, update

from fleet_api.sessions.repository import SESSIONS_PER_USER_MAX
from fleet_api.sessions.service import REFUSALS_ADDRESS_MAX, REFUSALS_MAX, WINDOW_MS
from storage.registry.models import Audit, User, UserSession
from tests.fleet_api.district import EAST, PASSWORD, now_ms


def sign_in(api, name="operator", password=PASSWORD) -> httpx.Response:
    return api.browser().post("/session", {"name": name, "password": password})


def test_sign_in_sets_a_cookie_that_scripts_and_other_sites_never_see(api, audited):
    answer = sign_in(api, "east")
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    for part in ("xunhu_session=", "HttpOnly", "SameSite=strict", "Path=/"):
        assert part in cookie
    assert "Secure" not in cookie  # Plain HTTP on loopback.
    assert answer.json() == {
        "user": "east",
        "role": "operator",
        "area": EAST,
        "area_name_zh": "东乡",
        "area_name_en": "East",
        "expires_ms": answer.json()["expires_ms"],
    }
    token = answer.cookies["xunhu_session"]
    assert api.browser(token).get("/session").json()["user"] == "east"
    assert [row.user_name for row in audited("session.start")] == ["east"]


def test_only_the_hash_of_a_token_is_stored(api, registry):
    token = sign_in(api).cookies["xunhu_session"]
    with registry.read() as session:
        stored = set(session.scalars(select(UserSession.token_sha256)))
    assert token not in stored
    assert hashlib.sha256(token.encode()).hexdigest() in stored


@pytest.mark.parametrize(
    ("name", "password"),
    [("operator", "wrong"), ("nobody", PASSWORD), ("OPERATOR", PASSWORD), ("operator ", PASSWORD)],
)
def test_wrong_name_or_password_is_refused_with_the_same_words(api, name, password):
    answer = sign_in(api, name, password)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "wrong_password"
    assert answer.json()["error"]["message"] == "Name and password do not fit together."
    assert "set-cookie" not in answer.headers


def test_a_refusal_never_repeats_the_password(api):
    answer = api.browser().post("/session", {"name": "operator", "password": ["s3cret-words"]})
    assert answer.status_code == 422
    assert "s3cret" not in answer.text
    answer = api.browser().post("/session", {"name": "x", "password": "s3cret" * 100})
    assert answer.status_code == 422
    assert "s3cret" not in answer.text


def test_guessing_is_throttled_even_with_the_right_password(api, audited):
    for _ in range(REFUSALS_MAX):
        assert sign_in(api, password="wrong-guess").status_code == 401
    answer = sign_in(api)
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "too_many_attempts"
    retry_s = int(answer.headers["retry-after"])
    assert 0 < retry_s <= WINDOW_MS // 1000
    assert answer.json()["error"]["details"] == {"retry_after_s": retry_s}
    # Somebody else in the same room is not locked out, and nothing more is written down.
    assert sign_in(api, "east").status_code == 200
    assert len(audited("session.refused")) == REFUSALS_MAX


def test_the_throttle_opens_when_the_refusals_are_old(api, registry):
    for _ in range(REFUSALS_MAX):
        sign_in(api, password="wrong-guess")
    with registry.begin() as session:
        session.execute(
            update(Audit)
            .where(Audit.action == "session.refused")
            .values(at_ms=now_ms() - WINDOW_MS - 1)
        )
    assert sign_in(api).status_code == 200


def test_one_address_cannot_try_name_after_name(api, registry):
    with registry.begin() as session:
        for number in range(REFUSALS_ADDRESS_MAX):
            session.add(
                Audit(
                    at_ms=now_ms(),
                    user_name=f"guess-{number}",
                    action="session.refused",
                    details={"address": "127.0.0.1"},
                )
            )
    assert sign_in(api).status_code == 429


def test_refusals_elsewhere_do_not_lock_a_name(api, registry):
    with registry.begin() as session:
        for _ in range(REFUSALS_ADDRESS_MAX):
            session.add(
                Audit(
                    at_ms=now_ms(),
                    user_name="operator",
                    action="session.refused",
                    details={"address": "192.0.2.7"},
                )
            )
    assert sign_in(api).status_code == 200


def test_an_expired_session_is_over(api, registry):
    with registry.begin() as session:
        session.execute(update(UserSession).values(expires_ms=now_ms() - 1))
    answer = api.as_user("operator").get("/session")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "not_signed_in"


def test_a_disabled_user_is_out_at_once_and_cannot_return(api, registry):
    with registry.begin() as session:
        session.execute(update(User).where(User.name == "operator").values(disabled_ms=1))
    assert api.as_user("operator").get("/devices").status_code == 401
    assert sign_in(api).status_code == 401


@pytest.mark.parametrize("token", [None, "", "x" * 43, "../../etc", "a" * 5000])
def test_an_unknown_token_is_nobody(api, token):
    assert api.browser(token).get("/session").status_code == 401


def test_sign_out_ends_the_session(as_user, audited):
    operator = as_user("operator")
    answer = operator.delete("/session")
    assert answer.status_code == 204
    assert 'xunhu_session=""' in answer.headers["set-cookie"]
    assert operator.get("/session").status_code == 401
    assert [row.user_name for row in audited("session.end")] == ["operator"]


def test_the_oldest_of_too_many_sessions_ends(api, registry):
    first = sign_in(api).cookies["xunhu_session"]
    with registry.begin() as session:
        session.execute(update(UserSession).values(created_ms=1))
    for _ in range(SESSIONS_PER_USER_MAX):
        last = sign_in(api).cookies["xunhu_session"]
    assert api.browser(first).get("/session").status_code == 401
    assert api.browser(last).get("/session").status_code == 200
    with registry.read() as session:
        user = session.scalars(select(User).where(User.name == "operator")).one()
        mine = select(UserSession).where(UserSession.user_id == user.id)
        assert len(list(session.scalars(mine))) == SESSIONS_PER_USER_MAX


def test_a_new_password_ends_all_other_sessions(api, audited):
    elsewhere = api.browser(sign_in(api).cookies["xunhu_session"])
    here = api.as_user("operator")
    answer = here.post("/session/password", {"old": PASSWORD, "new": "nine-owls-over-meilin"})
    assert answer.status_code == 204
    assert here.get("/session").status_code == 200
    assert elsewhere.get("/session").status_code == 401
    assert sign_in(api).status_code == 401
    assert sign_in(api, password="nine-owls-over-meilin").status_code == 200
    assert len(audited("password.change")) == 1


def test_a_new_password_needs_the_old_one(as_user, audited):
    here = as_user("operator")
    body = {"old": "not-this-one", "new": "nine-owls-over-meilin"}
    assert here.post("/session/password", body).status_code == 401
    assert audited("password.change") == []


def test_a_short_new_password_is_refused_with_the_limit(as_user):
    answer = as_user("operator").post("/session/password", {"old": PASSWORD, "new": "short"})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"] == {"field": "new"}
    assert "10" in answer.json()["error"]["message"]


def test_a_write_without_the_header_is_refused(api, audited):
    cookie = {"Cookie": f"xunhu_session={api.as_user('operator').token}"}
    for method, path in (("POST", "/session"), ("DELETE", "/session"), ("POST", "/cases/1/take")):
        answer = httpx.request(method, f"{api.address}/api/v1{path}", headers=cookie)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "header_missing"
    assert audited("session.end") == []
