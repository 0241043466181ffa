"""Signing in, sessions, roles: and everybody who must not get in."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import timedelta
from typing import Any

import pytest
from hefu.node import users
from hefu.store.base import now
from hefu.store.node_tables import SessionRow, UserRow
from sqlmodel import select

pytestmark = pytest.mark.server


@pytest.fixture
def node(make_node: Callable[[str], Any]) -> Any:
    made = make_node("bank")
    made.add_user("alice", "preparer")
    made.add_user("root", "admin")
    return made


def test_signing_in_tells_who_one_is(node: Any) -> None:
    me = node.http.get("/console/me", headers=node.sign_in("alice")).json()
    assert me["username"] == "alice"
    assert me["roles"] == ["preparer"]
    assert me["org_id"] == "bank"
    assert me["org_roles"] == ["data_provider", "compute_party"]


def test_wrong_password_and_unknown_name_get_the_same_answer(node: Any) -> None:
    wrong = node.http.post("/console/login", json={"username": "alice", "password": "x"})
    unknown = node.http.post("/console/login", json={"username": "nobody", "password": "x"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert wrong.json()["code"] == "login_refused"
    assert wrong.json()["mend_zh"]
    assert wrong.json()["mend_en"]


def test_logins_do_not_take_all_threads_and_connections(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password takes a while to check: strangers who try many at once must not keep the node from its peers."""
    going_on = threading.Semaphore(0)
    waiting = threading.Event()

    def slow(*_: Any) -> bool:
        waiting.set()
        return going_on.acquire(timeout=20) and False

    monkeypatch.setattr(users, "_check", slow)
    with ThreadPoolExecutor(12) as pool:
        login = {"username": "nobody-at-all", "password": "x"}
        tries = [pool.submit(node.http.post, "/console/login", json=login) for _ in range(12)]
        waiting.wait(20)
        refused = list(itertools.islice(as_completed(tries, timeout=15), 4))  # the others wait for their turn
        first = refused[0].result()
        going_on.release(12)
        codes = sorted(one.result().json()["code"] for one in tries)
    assert (first.status_code, first.json()["code"]) == (503, "too_many_logins")
    assert codes.count("too_many_logins") == 4
    monkeypatch.undo()
    assert node.sign_in("root")


@pytest.mark.parametrize("name", ["alice", "stranger-in-lock-test"])
def test_five_wrong_passwords_lock_known_and_unknown_names_alike(node: Any, name: str) -> None:
    codes = [
        node.http.post("/console/login", json={"username": name, "password": "x"}).json()["code"]
        for _ in range(6)
    ]
    assert codes == ["login_refused"] * 5 + ["account_locked"]
    locked = node.http.post("/console/login", json={"username": name, "password": "correct horse battery"})
    assert locked.status_code == 423


def test_a_lock_ends(node: Any) -> None:
    for _ in range(5):
        node.http.post("/console/login", json={"username": "alice", "password": "x"})
    with node.ctx.session() as session:
        row = session.get(UserRow, "alice")
        row.locked_until = now() - timedelta(seconds=1)
        session.add(row)
        session.commit()
    assert node.sign_in("alice")


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer x", "Basic YWxpY2U6eA==", "Bearer " + "a" * 5000]
)
def test_no_token_no_answer(node: Any, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    for path in (
        "/console/me",
        "/console/overview",
        "/console/data-sets",
        "/console/contracts",
        "/console/jobs",
    ):
        answer = node.http.get(path, headers=headers)
        assert answer.status_code == 401, path
        assert answer.json()["code"] == "not_signed_in"


def test_a_token_whose_issue_time_was_altered_is_unknown(node: Any) -> None:
    token = node.sign_in("alice")["Authorization"].removeprefix("Bearer ")
    issued, _, secret = token.partition(".")
    answer = node.http.get("/console/me", headers={"Authorization": f"Bearer {int(issued) + 3600}.{secret}"})
    assert answer.status_code == 401


def test_an_idle_session_ends_and_a_used_one_is_prolonged(node: Any) -> None:
    headers = node.sign_in("alice")
    with node.ctx.session() as session:
        row = session.exec(select(SessionRow)).one()
        row.expires_at = now() + timedelta(minutes=5)
        session.add(row)
        session.commit()
    assert node.http.get("/console/me", headers=headers).status_code == 200
    with node.ctx.session() as session:
        row = session.exec(select(SessionRow)).one()
        assert row.expires_at > now() + timedelta(hours=1, minutes=59)
        row.expires_at = now() - timedelta(seconds=1)
        session.add(row)
        session.commit()
    assert node.http.get("/console/me", headers=headers).status_code == 401


def test_a_session_ends_after_twelve_hours_however_much_it_is_used(
    node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = now()
    monkeypatch.setattr(users.time, "time", lambda: started.timestamp() - 12 * 3600 - 1)
    headers = node.sign_in("alice")
    assert node.http.get("/console/me", headers=headers).status_code == 401


def test_signing_out_ends_the_session(node: Any) -> None:
    headers = node.sign_in("alice")
    assert node.http.post("/console/logout", headers=headers).status_code == 204
    assert node.http.get("/console/me", headers=headers).status_code == 401


def test_the_database_holds_neither_password_nor_token(node: Any) -> None:
    token = node.sign_in("alice")["Authorization"].removeprefix("Bearer ")
    with node.ctx.session() as session:
        stored = (
            session.get(UserRow, "alice").password_hash + session.exec(select(SessionRow)).one().token_digest
        )
    assert "correct horse" not in stored
    assert token not in stored
    assert stored.startswith("$argon2id$")


def test_a_disabled_person_is_out_at_once(node: Any) -> None:
    headers = node.sign_in("alice")
    with node.ctx.session() as session:
        row = session.get(UserRow, "alice")
        row.disabled = True
        session.add(row)
        session.commit()
    assert node.http.get("/console/me", headers=headers).status_code == 401


def test_accounts_are_the_administrators_business(node: Any) -> None:
    new = {"username": "carol", "display_name": "Carol", "password": "a long password", "roles": ["viewer"]}
    refused = node.http.post("/console/users", json=new, headers=node.sign_in("alice"))
    assert refused.status_code == 403
    assert refused.json()["code"] == "role_missing"
    admin = node.sign_in("root")
    assert node.http.post("/console/users", json=new, headers=admin).status_code == 201
    again = node.http.post("/console/users", json=new, headers=admin)
    assert (again.status_code, again.json()["code"]) == (409, "user_exists")
    short = node.http.post(
        "/console/users", json={**new, "username": "dave", "password": "short"}, headers=admin
    )
    assert (short.status_code, short.json()["limit"]) == (422, "password")
    assert "short" not in short.json()["message_en"].replace("string", "")
    names = [user["username"] for user in node.http.get("/console/users", headers=admin).json()]
    assert names == ["alice", "carol", "root"]
