"""This node's own verification of the ledger: it copies the static export and checks it under the key of its start-up kit.

The coordinator's word for it counts nothing here. One verification runs at a time, in a thread of its own; its
progress lives in memory.
"""

from __future__ import annotations

import io
import logging
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from hefu_ledger.encoding import b64encode
from hefu_ledger.errors import LedgerError
from hefu_ledger.files import read_file
from hefu_ledger.keys import KeyEntry, KeyList
from hefu_ledger.verify import KEYS_FILE, verify_export

from hefu.keys.public import key_id
from hefu.node.console_models import VerifyView
from hefu.node.context import COORDINATOR, NodeContext
from hefu.node.directory import Directory
from hefu.store.base import now
from hefu.wire.errors import WireError

log = logging.getLogger("hefu.console")

MAX_FILES = 2_000_000
_DOWNLOAD_SECONDS = 600.0


class PinnedKeys:
    """The keys that came with the copy, but for organisations that this node has pinned only the pinned key."""

    def __init__(self, directory: Directory, listed: bytes) -> None:
        self._listed = KeyList.from_bytes(listed)
        self._pinned = {
            actor: key_id(directory.identity_key(actor)) for actor in (COORDINATOR, *directory.known())
        }

    @property
    def pinned(self) -> set[str]:
        """The organisations whose keys this node knows by itself."""
        return set(self._pinned)

    def resolve(self, key: str) -> KeyEntry | None:
        """`KeyDirectory` of the ledger's verifier: None for a key that claims a pinned organisation and is not its key."""
        entry = self._listed.resolve(key)
        if entry is not None and self._pinned.get(entry.actor, key) != key:
            return None
        return entry


class Verification:
    """The latest verification at this node."""

    def __init__(self, ctx: NodeContext) -> None:
        self._ctx = ctx
        self._lock = threading.Lock()
        self._view = VerifyView(state="idle")

    def view(self) -> VerifyView:
        """How it stands."""
        with self._lock:
            return self._view.model_copy()

    def start(self) -> VerifyView:
        """Start one, unless one is running."""
        with self._lock:
            if self._view.state != "running":
                self._view = VerifyView(
                    state="running", message_zh="正在下载账本", message_en="downloading the ledger"
                )
                threading.Thread(target=self._run, name="verify-ledger", daemon=True).start()
            return self._view.model_copy()

    def _update(self, **fields: object) -> None:
        with self._lock:
            self._view = self._view.model_copy(update=fields)

    def _run(self) -> None:
        try:
            archive = self._ctx.client.get(
                COORDINATOR, "/api/ledger/export", timeout_seconds=_DOWNLOAD_SECONDS
            )
            with tempfile.TemporaryDirectory(prefix="ledger-", dir=self._ctx.paths.work) as folder:
                unpack(archive, Path(folder))
                self._update(message_zh="正在逐条校验", message_en="checking every entry")
                copy = Path(folder) / "ledger"
                keys = PinnedKeys(self._ctx.directory, read_file(copy / KEYS_FILE))
                vkey = self._ctx.kit.ledger_vkey
                report = verify_export(copy, log_vkey=vkey, keys=keys, progress=self._progress)
        except LedgerError as error:
            self._end("failed", f"账本校验失败：{error}", f"the ledger does not verify: {error}")
        except WireError as error:
            self._end("failed", f"无法取得账本：{error}", f"the ledger could not be fetched: {error}")
        except Exception as error:
            log.exception("verification of the ledger failed")
            self._end(
                "failed",
                f"校验未能完成：{type(error).__name__}",
                f"the verification did not finish: {type(error).__name__}",
            )
        else:
            root = b64encode(report.root)
            self._update(size=report.size, root=root, done=report.size, total=report.size)
            unpinned = sorted(set(report.signers) - keys.pinned)
            self._end(
                "passed",
                f"{report.size} 条存证全部校验通过"
                + (f"；{'、'.join(unpinned)} 的公钥取自账本副本" if unpinned else ""),
                f"all {report.size} entries verify"
                + (f"; the keys of {', '.join(unpinned)} were taken from the copy" if unpinned else ""),
            )

    def _progress(self, done: int, total: int) -> None:
        self._update(done=done, total=total)

    def _end(self, state: str, message_zh: str, message_en: str) -> None:
        self._update(state=state, message_zh=message_zh[:500], message_en=message_en[:500], finished_at=now())


def unpack(archive: bytes, folder: Path) -> None:
    """Unpack a tar of regular files below `folder`.

    raises  ValueError when a member is not a regular file or folder, lies outside, or there are too many
    """
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        for number, member in enumerate(_members(tar)):
            if number >= MAX_FILES:
                raise ValueError("the archive has too many files")
            source = tar.extractfile(member)
            if source is None:
                raise ValueError("the archive holds a file without content")
            target = folder / member.name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.write_bytes(source.read())


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in tar:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError("the archive reaches outside its folder")
        if member.isdir():
            continue
        if not member.isreg():
            raise ValueError("the archive holds something that is not a file")
        yield member
