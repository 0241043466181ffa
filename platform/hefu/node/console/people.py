"""Signing in and out; the organisation's accounts."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response
from sqlmodel import select

from hefu.node import users
from hefu.node.console.access import Access, Person
from hefu.node.console.answers import ConsoleRoute
from hefu.node.console_models import LoginRequest, NewUser, Session, User
from hefu.node.context import NodeContext
from hefu.store.node_tables import UserRow


def create_router(ctx: NodeContext, access: Access) -> APIRouter:
    """login, logout, me, users."""
    router = APIRouter(route_class=ConsoleRoute)

    @router.post("/login")
    def login(request: LoginRequest) -> Session:
        with ctx.session() as session:
            token, expires_at, row = users.sign_in(session, request.username, request.password)
        return Session(token=token, expires_at=expires_at, user=access.user(row))

    @router.post("/logout", status_code=204)
    def logout(person: Person = Depends(access.require())) -> Response:
        with ctx.session() as session:
            users.sign_out(session, person.token)
        return Response(status_code=204)

    @router.get("/me")
    def me(person: Person = Depends(access.require())) -> User:
        return person.user

    @router.get("/users")
    def list_users(person: Person = Depends(access.require("admin"))) -> list[User]:
        with ctx.session() as session:
            return [access.user(row) for row in session.exec(select(UserRow).order_by(UserRow.username))]

    @router.post("/users", status_code=201)
    def add_user(request: NewUser, person: Person = Depends(access.require("admin"))) -> User:
        with ctx.session() as session:
            row = users.create_user(session, request)
            session.commit()
            return access.user(row)

    return router
