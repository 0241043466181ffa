"""The server of secure aggregation, as a state machine over messages; it relays, adds, and removes the masks of the sum.

    server.advertise({client: message}) -> {client: key list}
    server.share_keys({client: message}) -> {client: relayed shares}
    server.add_masked(client, message)                       # one after the other; only the running sum is kept
    server.close_masked() -> {client: survivors}
    server.sign_survivors({client: message}) -> {client: signatures}
    server.unmask({client: message}) -> Aggregate

Clients that are missing from a step have dropped out; a client whose message is refused counts as dropped, with the
reason. A vector that comes after `close_masked` is refused. Below the threshold every step raises TooFewClients.
Learns: the sum over the clients whose vector arrived, who they are, and the sizes; of single vectors nothing, as long as
fewer than 2 threshold - n clients help it.
Source: Bonawitz et al., CCS 2017, figure 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hefu.engine.aggregation import keys, messages, shamir
from hefu.engine.aggregation.errors import AggregationError, MessageInvalid, OutOfOrder, TooFewClients
from hefu.engine.aggregation.masking import add_streams
from hefu.engine.aggregation.plan import Plan
from hefu.engine.prg import Prg


@dataclass(frozen=True)
class Aggregate:
    """total: (length,) ring words, the sum over `clients`; dropped: client -> why."""

    total: NDArray[Any]
    clients: tuple[str, ...]
    dropped: dict[str, str]


class Server:
    """The server in one round."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.dropped: dict[str, str] = {}
        self._due = "advertise"
        self._key_list = b""
        self._keys: dict[int, bytes] = {}
        self._sealed: dict[int, dict[int, bytes]] = {}
        self._commitments: dict[int, bytes] = {}
        self._survivors: list[int] = []
        self._statement = b""
        self._total = np.zeros(plan.length, dtype=plan.dtype)

    def advertise(self, received: Mapping[str, bytes]) -> dict[str, bytes]:
        """Step 0: everybody's keys to everybody."""
        self._turn("advertise", "share_keys")
        plan = self.plan
        records: dict[int, bytes] = {}
        for name, message in self._known(received, plan.names):
            try:
                body = messages.read_single(messages.KEYS, message, name)
                if not plan.is_signed(name, body[64:], plan.keys_statement(name, body[:32], body[32:64])):
                    raise MessageInvalid(name, "keys with a wrong signature")
                taken = {key for other in records.values() for key in (other[:32], other[32:64])}
                if {body[:32], body[32:64]} & taken or body[:32] == body[32:64]:
                    raise MessageInvalid(name, "a key that another has")
                records[plan.index(name)] = body
            except MessageInvalid as error:
                self._drop(name, str(error))
        self._require_enough(len(records))
        self._keys = {index: body[32:64] for index, body in records.items()}
        self._key_list = messages.write_records(messages.KEY_LIST, records)
        return dict.fromkeys(map(plan.name, records), self._key_list)

    def share_keys(self, received: Mapping[str, bytes]) -> dict[str, bytes]:
        """Step 1: the sealed shares to whom they are for."""
        self._turn("share_keys", "masked")
        plan = self.plan
        for name, message in self._known(received, map(plan.name, self._keys)):
            index = plan.index(name)
            try:
                commitment, rest = message[1 : 1 + messages.KEY_BYTES], message[1 + messages.KEY_BYTES :]
                records = messages.read_records(plan, messages.SHARES, message[:1] + rest, name)
                if records.keys() != self._keys.keys() - {index}:
                    raise MessageInvalid(name, "shares for others than those that advertised keys")
                self._sealed[index], self._commitments[index] = records, commitment
            except MessageInvalid as error:
                self._drop(name, str(error))
        self._require_enough(len(self._sealed))
        return {
            plan.name(to): messages.write_records(
                messages.RELAYED, {index: self._sealed[index][to] for index in self._sealed if index != to}
            )
            for to in self._sealed
        }

    def add_masked(self, name: str, message: NDArray[np.uint8]) -> None:
        """Step 2, for one client; raises OutOfOrder for a second or late vector, MessageInvalid."""
        if self._due != "masked":
            raise OutOfOrder(f"{name}: a vector where {self._due} was due")
        index = self.plan.index(name)
        if index not in self._sealed or index in self._survivors or name in self.dropped:
            raise OutOfOrder(f"{name}: a vector of a client that is not expected to send one")
        words = messages.read_masked(self.plan, index, message, name)
        np.add(self._total, words, out=self._total)
        self._survivors.append(index)

    def close_masked(self) -> dict[str, bytes]:
        """Nobody's vector is taken any more; the list of survivors to each of them."""
        self._turn("masked", "sign_survivors")
        self._survivors.sort()
        for index in self._sealed.keys() - set(self._survivors):
            self._drop(self.plan.name(index), "sent no vector")
        self._require_enough(len(self._survivors))
        survivors = messages.write_records(messages.SURVIVORS, dict.fromkeys(self._survivors, b""))
        self._statement = self.plan.survivors_statement(self._key_list, survivors)
        return dict.fromkeys(map(self.plan.name, self._survivors), survivors)

    def sign_survivors(self, received: Mapping[str, bytes]) -> dict[str, bytes]:
        """Step 3: all signatures to everybody that signed."""
        self._turn("sign_survivors", "unmask")
        plan = self.plan
        records: dict[int, bytes] = {}
        for name, message in self._known(received, map(plan.name, self._survivors)):
            try:
                signature = messages.read_single(messages.SIGNATURE, message, name)
                if not plan.is_signed(name, signature, self._statement):
                    raise MessageInvalid(name, "a wrong signature on the list of survivors")
                records[plan.index(name)] = signature
            except MessageInvalid as error:
                self._drop(name, str(error))
        self._require_enough(len(records))
        signatures = messages.write_records(messages.SIGNATURES, records)
        return dict.fromkeys(map(plan.name, records), signatures)

    def unmask(self, received: Mapping[str, bytes]) -> Aggregate:
        """Step 4: the sum; raises AggregationError when shares don't give what their owner has committed to."""
        self._turn("unmask", "done")
        plan = self.plan
        answers: dict[int, dict[int, int]] = {}
        for name, message in self._known(received, map(plan.name, self._survivors)):
            try:
                answers[plan.index(name)] = self._shares_of(name, message)
            except MessageInvalid as error:
                self._drop(name, str(error))
        self._require_enough(len(answers))
        points = sorted(answers)[: plan.threshold]
        weights = shamir.weights_at_zero(points)
        plus: list[Prg] = []
        minus: list[Prg] = []
        for index in self._sealed:
            parts = zip(weights, (answers[point][index] for point in points), strict=True)
            secret = sum(weight * share for weight, share in parts) % shamir.PRIME
            if index in self._survivors:
                minus.append(keys.self_stream(plan, self._seed(index, secret), index))
            else:
                self._uncover(index, secret, plus, minus)
        add_streams(self._total, plus, minus)
        return Aggregate(self._total, tuple(map(plan.name, self._survivors)), dict(self.dropped))

    def _shares_of(self, name: str, message: bytes) -> dict[int, int]:
        records = messages.read_records(self.plan, messages.UNMASK, message, name)
        if records.keys() != self._sealed.keys():
            raise MessageInvalid(name, "shares of others than those that shared their keys")
        shares = {}
        for index, record in records.items():
            due = messages.SEED_SHARE if index in self._survivors else messages.KEY_SHARE
            shares[index] = int.from_bytes(record[1:], "big")
            if record[0] != due or shares[index] >= shamir.PRIME:
                raise MessageInvalid(name, "a share of the wrong kind")
        return shares

    def _seed(self, index: int, secret: int) -> bytes:
        seed = (secret % (1 << 256)).to_bytes(32, "big")
        if not compare_digest(keys.seed_commitment(self.plan, seed, index), self._commitments[index]):
            raise AggregationError(f"{self.plan.name(index)}: the shares of its seed don't fit together")
        return seed

    def _uncover(self, index: int, secret: int, plus: list[Prg], minus: list[Prg]) -> None:
        """A client dropped out after sharing its keys: its pair masks are still in the survivors' vectors."""
        plan = self.plan
        private = (secret % (1 << 256)).to_bytes(32, "big")
        if not compare_digest(keys.public_key(private), self._keys[index]):
            raise AggregationError(f"{plan.name(index)}: the shares of its key don't fit together")
        for survivor in self._survivors:
            agreed = keys.agree(private, self._keys[survivor], plan.name(survivor))
            stream = keys.pair_stream(plan, agreed, index, survivor)
            (minus if survivor < index else plus).append(stream)

    def _known(self, received: Mapping[str, bytes], expected: Any) -> list[tuple[str, bytes]]:
        """The messages of those that may still send one; the others of them drop out."""
        expected = [name for name in expected if name not in self.dropped]
        for name in expected:
            if name not in received:
                self._drop(name, f"sent nothing where {self._step} was due")
        return [(name, received[name]) for name in expected if name in received]

    def _drop(self, name: str, why: str) -> None:
        self.dropped.setdefault(name, why)

    def drop(self, name: str, why: str) -> None:
        """A client is gone, as its channel says."""
        self._drop(name, why)

    def _turn(self, due: str, following: str) -> None:
        if self._due != due:
            raise OutOfOrder(f"server: {due} where {self._due} was due")
        self._step, self._due = due, following

    def _require_enough(self, count: int) -> None:
        if count < self.plan.threshold:
            self._due = "nothing more"
            raise TooFewClients(
                f"{count} clients are left, {self.plan.threshold} are needed; dropped: "
                + ", ".join(f"{name} ({why})" for name, why in self.dropped.items())
            )
