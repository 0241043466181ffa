"""People of this organisation: accounts, signing in, sessions.

Passwords are kept as argon2id hashes (RFC 9106). Five wrong passwords lock an account for fifteen minutes; a name that
does not exist costs the same work and locks the same way, so that neither answers nor times tell which names exist.
A session is a random token, kept by its SHA-256: twelve hours at most, two hours without use. Its issue time stands in
the token itself, under the same digest.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import cast

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlmodel import Session, col, delete, select

from hefu.node.console_models import NewUser, UserRole
from hefu.node.refusals import Refusal, conflict, refuse
from hefu.store.base import now
from hefu.store.node_tables import SessionRow, UserRow

log = logging.getLogger("hefu.users")

SESSION_LIFE = timedelta(hours=12)
SESSION_IDLE = timedelta(hours=2)
MAX_FAILURES = 5
LOCK_TIME = timedelta(minutes=15)

_SLIDE_EVERY = timedelta(minutes=1)
_HASHER = PasswordHasher()
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$aGVmdS1ub2JvZHktc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"  # opened by no password we know
_hashing = threading.BoundedSemaphore(2)  # 64 MiB each: strangers must not be able to fill the memory
_signing_in = threading.BoundedSemaphore(
    8
)  # and no more threads and connections than these: others need them


def create_user(session: Session, user: NewUser) -> UserRow:
    """Add a person to the session's transaction; the caller commits.

    raises  Refusal (user_exists, no_roles)
    """
    if not user.roles:
        raise refuse(
            422,
            "no_roles",
            "至少选择一个角色",
            "at least one role is needed",
            "请选择角色",
            "choose a role",
            limit="roles",
        )
    if session.get(UserRow, user.username) is not None:
        raise conflict(
            "user_exists",
            f"用户 {user.username} 已存在",
            f"there is a user {user.username} already",
            "请换一个用户名",
            "choose another name",
        )
    row = UserRow(
        username=user.username,
        display_name=user.display_name,
        password_hash=hash_password(user.password),
        roles=sorted(set(user.roles)),
        created_at=now(),
    )
    session.add(row)
    return row


def hash_password(password: str) -> str:
    """An argon2id hash with its parameters and salt."""
    with _hashing:
        return _HASHER.hash(password)


def sign_in(session: Session, username: str, password: str) -> tuple[str, datetime, UserRow]:
    """Check a password and open a session; commits, whatever the outcome. Answers token, expiry, person.

    raises  Refusal: login_refused (401) · account_locked (423) · too_many_logins (503) while many sign in at once
    """
    if not _signing_in.acquire(blocking=False):
        raise refuse(
            503,
            "too_many_logins",
            "同时登录的人过多",
            "too many people sign in at once",
            "请稍后重试",
            "try again in a moment",
        )
    try:
        return _sign_in(session, username, password)
    finally:
        _signing_in.release()


def _sign_in(session: Session, username: str, password: str) -> tuple[str, datetime, UserRow]:
    row = session.exec(select(UserRow).where(UserRow.username == username).with_for_update()).first()
    if row is None:
        _check(_NOBODY, password)
        _strangers.fail(username)
        raise _refused()
    locked = row.locked_until is not None and row.locked_until > now()
    fits = _check(row.password_hash, password)
    if locked:
        raise _locked()
    if not fits or row.disabled:
        row.failed += 1
        if row.failed >= MAX_FAILURES:
            row.failed, row.locked_until = 0, now() + LOCK_TIME
            log.warning("account locked after %d wrong passwords", MAX_FAILURES)
        session.add(row)
        session.commit()
        raise _refused()
    row.failed, row.locked_until = 0, None
    if _HASHER.check_needs_rehash(row.password_hash):
        row.password_hash = hash_password(password)
    token = f"{int(time.time())}.{secrets.token_urlsafe(32)}"
    expires_at = now() + SESSION_IDLE
    session.exec(delete(SessionRow).where(col(SessionRow.expires_at) < now()))
    session.add(SessionRow(token_digest=_digest(token), username=username, expires_at=expires_at))
    session.add(row)
    session.commit()
    return token, expires_at, row


def find_session(session: Session, token: str) -> UserRow | None:
    """The person of a live session, which is thereby prolonged; None where there is none. Commits when it prolongs."""
    row = session.get(SessionRow, _digest(token))
    moment = now()
    if row is None or row.expires_at <= moment:
        return None
    issued, _, _ = token.partition(".")
    end = datetime.fromtimestamp(int(issued), UTC) + SESSION_LIFE
    user = session.get(UserRow, row.username)
    if end <= moment or user is None or user.disabled:
        return None
    until = min(end, moment + SESSION_IDLE)
    if until - row.expires_at >= _SLIDE_EVERY:
        row.expires_at = until
        session.add(row)
        session.commit()
    return user


def sign_out(session: Session, token: str) -> None:
    """End one session; commits."""
    session.exec(delete(SessionRow).where(col(SessionRow.token_digest) == _digest(token)))
    session.commit()


def end_sessions(session: Session, username: str) -> None:
    """End all sessions of a person (account disabled, password changed); the caller commits."""
    session.exec(delete(SessionRow).where(col(SessionRow.username) == username))


def roles_of(row: UserRow) -> list[UserRole]:
    """The person's roles."""
    return cast("list[UserRole]", list(row.roles))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _check(password_hash: str, password: str) -> bool:
    with _hashing:
        try:
            return _HASHER.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False


def _refused() -> Refusal:
    return refuse(
        401,
        "login_refused",
        "用户名或密码不正确",
        "wrong user name or password",
        "请检查后重试；连续五次错误将锁定十五分钟",
        "check both and try again; five mistakes lock the account for fifteen minutes",
    )


def _locked() -> Refusal:
    return refuse(
        423,
        "account_locked",
        "连续输错密码，账户已锁定",
        "the account is locked after repeated wrong passwords",
        "请十五分钟后再试",
        "try again in fifteen minutes",
    )


class _Strangers:
    """Failures of names that do not exist, so that they lock as the others do. In memory, the latest thousand."""

    def __init__(self, room: int = 1000) -> None:
        self._room = room
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def fail(self, username: str) -> None:
        """Count a failure. Raises Refusal while the name is locked."""
        with self._lock:
            count, locked_until = self._failures.pop(username, (0, 0.0))
            if locked_until > time.monotonic():
                self._failures[username] = (count, locked_until)
                raise _locked()
            count += 1
            if count >= MAX_FAILURES:
                count, locked_until = 0, time.monotonic() + LOCK_TIME.total_seconds()
            self._failures[username] = (count, locked_until)
            while len(self._failures) > self._room:
                self._failures.popitem(last=False)


_strangers = _Strangers()
