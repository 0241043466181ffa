"""Files that are either there whole or not at all."""

import os
import tempfile
from pathlib import Path

from hefu_ledger.errors import StoreUnavailable


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, on disk when this returns.

    raises  StoreUnavailable
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror or error}") from error


def read_file(path: Path) -> bytes:
    """A file's bytes; raises StoreUnavailable."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror or error}") from error


def file_exists(path: Path) -> bool:
    """Whether there is something at `path`; raises StoreUnavailable where that cannot be told."""
    try:
        return path.exists()
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror or error}") from error
