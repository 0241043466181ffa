"""What leaves an owner is what it committed to: not rows that were prepared anew since the use was counted."""

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hefu.components.reconcile import OwnerRows, rows_digest
from hefu.node.kept_rows import InputChanged, load_committed, save_rows
from hefu.node.program import Program

SALT, KEY = b"s" * 32, b"k" * 32
ROWS = OwnerRows(
    owner="bank",
    side="bank",
    batch=1,
    institution=np.zeros(2, dtype=np.int32),
    key_offsets=np.array([0, 3, 6], dtype=np.int64),
    key_data=np.frombuffer(b"abcdef", dtype=np.uint8),
    occurrence=np.zeros(2, dtype=np.uint32),
    amount_cents=np.array([100, 250], dtype=np.int64),
    row=np.array([1, 2], dtype=np.uint64),
    transit=np.zeros(2, dtype=np.bool_),
)
OTHERS = replace(ROWS, amount_cents=np.array([100, 251], dtype=np.int64))


def test_the_committed_rows_come_back(tmp_path: Path) -> None:
    save_rows(tmp_path / "input.npz", ROWS, KEY)
    loaded = load_committed(tmp_path / "input.npz", rows_digest(ROWS, SALT), SALT, KEY)
    assert loaded.amount_cents.tolist() == [100, 250]


def test_rows_prepared_anew_do_not(tmp_path: Path) -> None:
    save_rows(tmp_path / "input.npz", OTHERS, KEY)
    with pytest.raises(InputChanged):
        load_committed(tmp_path / "input.npz", rows_digest(ROWS, SALT), SALT, KEY)


def test_a_program_sends_nothing_of_them(tmp_path: Path) -> None:
    class NoChannels(dict[str, Any]):
        def __missing__(self, peer: str) -> Any:
            raise AssertionError(f"something was sent to {peer}")

    save_rows(tmp_path / "input.npz", OTHERS, KEY)
    program = Program.__new__(Program)
    program.me, program.owners, program.nodes = "bank", ["bank"], ("operator", "bank", "exchange")  # type: ignore[assignment]
    program.task = {
        "folder": str(tmp_path),
        "storage_key": base64.b64encode(KEY).decode(),
        "input": {"commitment": rows_digest(ROWS, SALT), "salt": base64.b64encode(SALT).decode()},
    }
    with pytest.raises(InputChanged):
        program._share(NoChannels())  # type: ignore[arg-type]
