"""Prepared rows of a joint statistic, and their subjects' keyed hashes, encrypted below the job's folder until it is over."""

from __future__ import annotations

import hmac
from pathlib import Path

import numpy as np

from hefu.components.aggregate_input import GroupRows, groups_digest, load_groups, save_groups
from hefu.keys.at_rest import EncryptingWriter, open_decrypted
from hefu.node.kept_rows import InputChanged

SUBJECTS_FILE = "subjects.npz"


def save_kept(path: Path, rows: GroupRows, key: bytes) -> None:
    """Keep prepared rows under the job's storage key."""
    with EncryptingWriter(path, key) as file:
        save_groups(file, rows)


def load_kept(path: Path, commitment: str, salt: bytes, key: bytes) -> GroupRows:
    """Rows kept by `save_kept`, if they are the committed ones. Raises InputChanged, FileSealInvalid."""
    with open_decrypted(path, key) as plain:
        rows = load_groups(plain)
    if not hmac.compare_digest(groups_digest(rows, salt), commitment):
        raise InputChanged
    return rows


def save_subjects(path: Path, subjects: np.ndarray, key: bytes) -> None:
    """Keep the keyed hashes of an input's subjects."""
    with EncryptingWriter(path, key) as file:
        np.savez(file, subjects=subjects)


def load_subjects(path: Path, key: bytes) -> np.ndarray:
    """Hashes kept by `save_subjects`. Raises FileSealInvalid, OSError."""
    with open_decrypted(path, key) as plain, np.load(plain, allow_pickle=False) as kept:
        return np.asarray(kept["subjects"])
