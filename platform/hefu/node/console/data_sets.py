"""This organisation's data sets 数据集: registration, files as they arrive, rejected rows."""

from __future__ import annotations

from datetime import date

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from hefu.domain.dataset import DataSet
from hefu.node import datasets
from hefu.node.arrivals import take_in
from hefu.node.console.access import Access, Person
from hefu.node.console.answers import ConsoleRoute
from hefu.node.console.uploads import read_upload
from hefu.node.console.upstream import fetch
from hefu.node.console_models import ArrivalView, DataSetView, PublishedView
from hefu.node.context import NodeContext

_FORM = {
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}},
                "required": ["file"],
            }
        }
    }
}


def create_router(ctx: NodeContext, access: Access) -> APIRouter:
    """data-sets and their files."""
    router = APIRouter(prefix="/data-sets", route_class=ConsoleRoute)

    @router.get("")
    def list_data_sets(person: Person = Depends(access.require())) -> list[DataSetView]:
        return datasets.list_views(ctx)

    @router.get("/published")
    def published(person: Person = Depends(access.require())) -> list[PublishedView]:
        return fetch(ctx, "/api/data-sets", list[PublishedView])

    @router.post("", status_code=201)
    def register(data_set: DataSet, person: Person = Depends(access.require("preparer"))) -> DataSetView:
        return datasets.register(ctx, data_set, person.username)

    @router.post("/{data_set_id}/files", openapi_extra={"requestBody": _FORM})
    async def receive_file(
        data_set_id: str, request: Request, person: Person = Depends(access.require("preparer"))
    ) -> list[ArrivalView]:
        await run_in_threadpool(datasets.check_known, ctx, data_set_id)
        with await read_upload(ctx, request) as incoming:
            return await run_in_threadpool(take_in, ctx, data_set_id, incoming, person.username)

    @router.get("/{data_set_id}/days")
    def days(
        data_set_id: str,
        first: date = Query(alias="from"),
        last: date = Query(alias="to"),
        person: Person = Depends(access.require()),
    ) -> list[ArrivalView]:
        return datasets.days(ctx, data_set_id, first, last)

    @router.get("/{data_set_id}/rejects")
    def rejects(
        data_set_id: str,
        fingerprint: str = Query(pattern=r"^[0-9a-f]{64}$"),
        person: Person = Depends(access.require("preparer", "approver")),
    ) -> Response:
        headers = {"Content-Disposition": 'attachment; filename="rejects.csv"'}
        content = datasets.rejects_csv(ctx, data_set_id, fingerprint)
        return Response(content, media_type="text/csv; charset=utf-8", headers=headers)

    return router
