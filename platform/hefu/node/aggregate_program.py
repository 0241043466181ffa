"""An organisation's half of `aggregate`, inside a worker: what it does otherwise than `reconcile`."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np

from hefu.components.aggregate import AggregateParameters, run
from hefu.components.aggregate_input import WORDS, GroupRows, share_groups
from hefu.components.reconcile import Batch
from hefu.engine.channel import ChannelSet
from hefu.engine.errors import InputInvalid
from hefu.engine.session import Session
from hefu.node.kept_groups import load_kept
from hefu.node.program import Program

TOKEN_KEY = 0
"""Under which number the recipient hands out the job's common token key."""


class AggregateProgram(Program):
    """One organisation's part in one attempt of `aggregate`."""

    words = WORDS

    @property
    def parameters(self) -> AggregateParameters:
        """The contract's clauses."""
        return AggregateParameters.model_validate(self.task["parameters"])

    def _load_input(self, own: dict[str, Any]) -> GroupRows:
        path = Path(self.task["folder"]) / "input.npz"
        return load_kept(path, own["commitment"], base64.b64decode(own["salt"]), self.storage_key)

    def _split(self, rows: GroupRows, keys: dict[int, bytes]) -> tuple[bytes, np.ndarray]:
        if TOKEN_KEY not in keys:
            raise InputInvalid("the recipient has sent no token key")
        clauses = self.parameters
        return share_groups(rows, keys[TOKEN_KEY], clauses.groups(), clauses.limit(len(self.batches)))

    def _compute(self, session: Session, channels: ChannelSet, own_masked: np.ndarray | None) -> bytes | None:
        if self.me not in self.nodes:
            return None
        parts: list[tuple[Batch, Any]]
        if self.me == self.nodes.n0:
            parts = list(self._seeds(channels))
        elif self.me == self.nodes.n1:
            parts = list(self._masked(channels, own_masked))
        else:
            parts = [(batch, None) for batch in self.batches]
        half, gate = run(session, channels, self.nodes, parts, self.parameters, self.progress)
        self.report["gate"] = gate
        return None if half is None else half.to_bytes()
