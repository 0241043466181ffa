"""A file upload, taken as it streams: nothing of it is held in memory or in a temporary folder outside the node's own.

The form (RFC 7578) has one part with a file, named `file`; other fields are skipped. Whoever uploads was checked before
the first byte of the body is read.
"""

from __future__ import annotations

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from hefu.node.context import NodeContext
from hefu.node.incoming import Incoming
from hefu.node.refusals import Refusal, refuse

MAX_PARTS = 16
MAX_HEADER_BYTES = 8192


async def read_upload(ctx: NodeContext, request: Request) -> Incoming:
    """The uploaded file, written to the node's folder; the caller enters and leaves it.

    raises  Refusal: form_invalid (400) · whatever Incoming refuses
    """
    form = _Form(ctx)
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise _invalid()
    try:
        parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": form.begin,
                "on_header_field": form.header_name,
                "on_header_value": form.header_value,
                "on_header_end": form.header_end,
                "on_headers_finished": form.headers_finished,
                "on_part_data": form.data,
                "on_part_end": form.part_end,
            },
        )
        async for block in request.stream():
            parser.write(block)
        parser.finalize()
        if (
            form.incoming is None or not form.whole
        ):  # a connection that broke off leaves the part without its end
            raise _invalid()
    except FormParserError as error:
        form.discard()
        raise _invalid() from error
    except BaseException:
        form.discard()
        raise
    return form.incoming


class _Form:
    """Callbacks of the parser."""

    def __init__(self, ctx: NodeContext) -> None:
        self._ctx = ctx
        self._parts = 0
        self._name, self._value = b"", b""
        self._disposition = b""
        self._taking = False
        self.incoming: Incoming | None = None
        self.whole = False

    def begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise _invalid()
        self._disposition, self._taking = b"", False

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]
        self._limit()

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._limit()

    def header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name, self._value = b"", b""

    def headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if options.get(b"name") == b"file" and b"filename" in options and self.incoming is None:
            self.incoming = Incoming(self._ctx, options[b"filename"].decode("utf-8", "replace"))
            self._taking = True

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._taking and self.incoming is not None:
            self.incoming.write(data[start:end])

    def part_end(self) -> None:
        self.whole = self.whole or self._taking
        self._taking = False

    def discard(self) -> None:
        if self.incoming is not None:
            self.incoming.discard()

    def _limit(self) -> None:
        if len(self._name) + len(self._value) > MAX_HEADER_BYTES:
            raise _invalid()


def _invalid() -> Refusal:
    return refuse(
        400,
        "form_invalid",
        "上传内容不是包含 file 的表单",
        "the upload is not a form with a part called file",
        "请以表单方式上传一个文件",
        "upload one file as a form",
        limit="file",
    )
