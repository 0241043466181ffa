"""What the coordinator knows, fetched and checked: its answers must have the very shapes of the console's models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from hefu.node.context import COORDINATOR, NodeContext
from hefu.node.refusals import refuse

T = TypeVar("T")


def fetch(
    ctx: NodeContext, path: str, shape: type[T], params: Mapping[str, str | int | None] | None = None
) -> T:
    """GET at the coordinator; parameters that are None are left out.

    raises  PeerUnreachable, PeerRefused, AcknowledgementInvalid · Refusal (answer_unreadable)
    """
    given = {name: value for name, value in (params or {}).items() if value is not None}
    return read(ctx.client.get(COORDINATOR, path, params=given or None), shape)


def send(ctx: NodeContext, path: str, content: Any, shape: type[T]) -> T:
    """POST at the coordinator; answers and errors as for `fetch`."""
    return read(ctx.client.post(COORDINATOR, path, content), shape)


def read(answer: Any, shape: type[T]) -> T:
    """The coordinator's answer as the shape it must have."""
    try:
        return TypeAdapter(shape).validate_python(answer)
    except ValidationError as error:
        at = ".".join(str(part) for part in error.errors(include_url=False)[0]["loc"])
        raise refuse(
            502,
            "answer_unreadable",
            f"平台方应答格式不符（{at}）",
            f"the coordinator's answer has another form ({at})",
            "请核对双方软件版本",
            "compare the two programs' versions",
            party=COORDINATOR,
        ) from error
