"""A file on its way in: encrypted into a private file as it comes, removed again unless it is kept.

Size is limited while it streams; a full disk is told as such. An Excel file is a zip: what it unpacks to is limited before
anything opens it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import re
import secrets
import zipfile
from pathlib import Path
from types import TracebackType

from hefu.keys.at_rest import EncryptingWriter, new_key, open_decrypted
from hefu.node import preferences
from hefu.node.context import NodeContext
from hefu.node.refusals import Refusal, refuse
from hefu.node.sources.readers import StoredFile
from hefu.node.sources.rejects import Rejects, write_rejects

SUFFIXES = (".csv", ".txt", ".tsv", ".xlsx", ".xls", ".parquet")
MAX_NAME = 120
_UNPACKED_FACTOR = 2
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


def display_name(file_name: str) -> str:
    """A sender's file name as it is shown: without folders, control characters, or a start that a spreadsheet computes."""
    name = _UNSAFE.sub("", file_name.replace("\\", "/").rsplit("/", 1)[-1]).strip()
    return re.sub(r"^[=+\-@]+", "_", name)[-MAX_NAME:] or "file"


class Incoming:
    """Write blocks, `finish`, then `keep_as`; leaving the context removes whatever was not kept.

    raises  Refusal: file_kind (422) at once · file_too_large (413), disk_full (507) from `write`, `finish`, `keep_as`
    """

    def __init__(self, ctx: NodeContext, file_name: str) -> None:
        self.name = display_name(file_name)
        self.suffix = Path(self.name).suffix.lower()
        if self.suffix not in SUFFIXES:
            raise refuse(
                422,
                "file_kind",
                f"不支持的文件类型“{self.suffix}”",
                f"files of kind {self.suffix!r} are not read",
                f"请上传 {'、'.join(SUFFIXES)} 文件",
                f"one of {', '.join(SUFFIXES)} is needed",
                limit="file",
            )
        with ctx.session() as session:
            self._limit = preferences.upload_bytes(session)
        self._hash = hashlib.sha256()
        self.size = 0
        self.path = ctx.paths.data / f"incoming-{secrets.token_hex(8)}{self.suffix}"
        self.rejects_path = self.path.with_name(self.path.name + ".rejects.csv")
        try:
            self.key = new_key()
            self._file = EncryptingWriter(self.path, self.key)
        except OSError as error:
            raise _disk(error) from error

    def __enter__(self) -> Incoming:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def discard(self) -> None:
        """Remove what was not kept."""
        with contextlib.suppress(OSError):
            self._file.close()
        self.path.unlink(missing_ok=True)
        self.rejects_path.unlink(missing_ok=True)

    def write(self, block: bytes) -> None:
        """Take the next bytes."""
        self.size += len(block)
        if self.size > self._limit:
            raise self._too_large()
        self._hash.update(block)
        try:
            self._file.write(block)
        except OSError as error:
            raise _disk(error) from error

    def finish(self) -> str:
        """All bytes have come and are on disk; answers the fingerprint (SHA-256, hex)."""
        try:
            self._file.close()
        except OSError as error:
            raise _disk(error) from error
        self._check_unpacked()
        return self._hash.hexdigest()

    def write_rejects_text(self, content: str) -> None:
        """The list of rejected rows, where there is only a message."""
        try:
            self.rejects_path.write_text(content, encoding="utf-8-sig")
        except OSError as error:
            raise _disk(error) from error

    def write_rejects(self, rejects: Rejects) -> None:
        """The list of rejected rows."""
        try:
            write_rejects(self.rejects_path, rejects)
        except OSError as error:
            raise _disk(error) from error

    @property
    def source(self) -> StoredFile:
        """The file, for whoever reads it."""
        return StoredFile(self.path, self.key)

    def keep_as(self, target: Path) -> None:
        """Move the file and its list of rejected rows to their place."""
        try:
            target.parent.mkdir(mode=0o700, exist_ok=True)
            if self.rejects_path.exists():
                self.rejects_path.chmod(0o600)
                self.rejects_path.replace(target.with_name(target.name + ".rejects.csv"))
            self.path.replace(target)
        except OSError as error:
            raise _disk(error) from error

    def _check_unpacked(self) -> None:
        if self.suffix != ".xlsx":
            return
        try:
            with open_decrypted(self.path, self.key) as plain, zipfile.ZipFile(plain) as archive:
                unpacked = sum(member.file_size for member in archive.infolist())
        except zipfile.BadZipFile:
            return  # the reader says so
        if unpacked > _UNPACKED_FACTOR * self._limit:
            raise self._too_large()

    def _too_large(self) -> Refusal:
        return refuse(
            413,
            "file_too_large",
            f"文件超过上限 {self._limit} 字节",
            f"the file is larger than {self._limit} bytes",
            "请按业务日期拆分文件，或由管理员调整上限",
            "split it by business date, or let the administrator raise the limit",
            limit=str(self._limit),
        )


def _disk(error: OSError) -> Refusal:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return refuse(
            507,
            "disk_full",
            "节点磁盘空间不足，文件未保存",
            "the node's disk is full; nothing of the file was kept",
            "请清理磁盘后重新上传",
            "make room on the disk and upload it again",
        )
    return refuse(
        500,
        "storage_failed",
        f"文件无法保存（{error.strerror}）",
        f"the file could not be stored ({error.strerror})",
        "请检查节点的数据目录",
        "check the node's data folder",
    )
