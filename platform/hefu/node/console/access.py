"""Who asks, and what they may do: bearer token → person, role of the person, role of this organisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from fastapi import Request

from hefu.domain.identity import Application, Role
from hefu.node import users
from hefu.node.console_models import User, UserRole
from hefu.node.context import NodeContext
from hefu.node.refusals import refuse
from hefu.store.node_tables import UserRow
from hefu.store.signed import read_application


@dataclass(frozen=True)
class Person:
    """The signed-in person, with the token that says so."""

    user: User
    token: str

    @property
    def username(self) -> str:
        """The person's name in records."""
        return self.user.username

    def may(self, *roles: UserRole) -> bool:
        """Has the person one of these roles?"""
        return not roles or any(role in self.user.roles for role in roles)


class Access:
    """Dependencies of the console's endpoints at one node."""

    def __init__(self, ctx: NodeContext) -> None:
        self._ctx = ctx

    @cached_property
    def application(self) -> Application:
        """This organisation's own application: its names and roles."""
        return read_application(self._ctx.paths.application.read_bytes())

    def user(self, row: UserRow) -> User:
        """A person as the console shows them."""
        own = self.application
        return User(
            username=row.username,
            display_name=row.display_name,
            roles=users.roles_of(row),
            org_id=own.org_id,
            org_name=own.legal_name,
            org_name_en=own.legal_name_en,
            org_roles=list(own.roles),
        )

    def require(self, *roles: UserRole, org: Role | None = None) -> Callable[[Request], Person]:
        """A dependency: the person is signed in and has one of `roles` (any, where none is named); this organisation has role `org`.

        raises  Refusal: not_signed_in (401) · role_missing, organisation_role_missing (403)
        """

        def check(request: Request) -> Person:
            person = self._person(request)
            if org is not None and org not in self.application.roles:
                raise refuse(
                    403,
                    "organisation_role_missing",
                    f"本机构没有“{org.value}”角色，无此功能",
                    f"this organisation does not have the role {org.value}",
                    "请在具有该角色的机构节点操作",
                    "do this at an organisation that has the role",
                    limit=org.value,
                )
            if not person.may(*roles):
                raise refuse(
                    403,
                    "role_missing",
                    "您的角色不允许此操作",
                    "your roles do not allow this",
                    f"需要角色：{'、'.join(roles)}",
                    f"one of these roles is needed: {', '.join(roles)}",
                    limit=",".join(roles),
                )
            return person

        return check

    def require_operator(self, *roles: UserRole) -> Callable[[Request], Person]:
        """As `require`, at the platform's operator (named by the start-up kit) only."""
        check = self.require(*roles)

        def check_operator(request: Request) -> Person:
            person = check(request)
            if self._ctx.org_id != self._ctx.kit.operator:
                raise refuse(
                    403,
                    "organisation_role_missing",
                    "只有平台方可以准入",
                    "only the platform's operator may do this",
                    "请在平台方节点操作",
                    "do this at the operator's node",
                    limit="operator",
                )
            return person

        return check_operator

    def _person(self, request: Request) -> Person:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and 0 < len(token) <= 200:
            with self._ctx.session() as session:
                row = users.find_session(session, token)
            if row is not None:
                return Person(self.user(row), token)
        raise refuse(
            401,
            "not_signed_in",
            "未登录或会话已过期",
            "not signed in, or the session has ended",
            "请重新登录",
            "sign in again",
        )
