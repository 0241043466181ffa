"""One client of secure aggregation, as a state machine over messages.

    client.advertise() -> to the server            (0) two fresh X25519 keys, signed
    client.share_keys(key_list) -> …               (1) Shamir shares of the mask key and of the self-mask seed, sealed
    client.masked_input(relayed, vector) -> …      (2) vector + self mask +- pair masks
    client.sign_survivors(survivors) -> …          (3) a signature on the list of those whose vector arrived
    client.unmask(signatures) -> …                 (4) of each client one share: seed (survived) or mask key (dropped)

The client never gives both shares of one client: step 4 happens once, for one list, and only when `threshold` clients
have signed that very list. Any error ends the client: a server gets no second try.
Each step returns the message to send. Learns: who takes part and who dropped out; of other vectors nothing.
Source: Bonawitz et al., "Practical secure aggregation for privacy-preserving machine learning", CCS 2017, figure 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from hefu.engine.aggregation import keys, messages, shamir
from hefu.engine.aggregation.errors import (
    MessageInvalid,
    OutOfOrder,
    PlanInvalid,
    RangeExceeded,
    SurvivorsDisputed,
    TooFewClients,
)
from hefu.engine.aggregation.masking import add_streams
from hefu.engine.aggregation.plan import Plan
from hefu.engine.prg import Prg
from hefu.engine.session import Session, encode

_SERVER = "server"
_NONCE = bytes(12)  # each sealing key seals one message


class Client:
    """One client in one round.

    identity  the private key whose public one the roster holds
    session   gives the coins; each (session, plan.round) makes one client
    """

    def __init__(self, plan: Plan, name: str, identity: Ed25519PrivateKey, session: Session) -> None:
        if plan.roster.get(name) != identity.public_key().public_bytes_raw():
            raise PlanInvalid(f"the roster does not hold our key for {name!r}")
        self.plan = plan
        self.name = name
        self.index = plan.index(name)
        self._identity = identity
        coins = session.private_prg(plan.round, "aggregation: keys")
        self._share_coins = session.private_prg(plan.round, "aggregation: shares")
        self._cipher_key, self._mask_key, self._seed = (coins.words(4).tobytes() for _ in range(3))
        self._due = "advertise"
        self._key_list = b""
        self._keys: dict[int, tuple[bytes, bytes]] = {}
        self._held: dict[int, tuple[int, int]] = {}
        self._survivors = b""

    def advertise(self) -> bytes:
        """Step 0."""
        with self._step("advertise", "share_keys"):
            cipher, mask = keys.public_key(self._cipher_key), keys.public_key(self._mask_key)
            signature = self._identity.sign(self.plan.keys_statement(self.name, cipher, mask))
            return messages.write_single(messages.KEYS, cipher + mask + signature)

    def share_keys(self, key_list: bytes) -> bytes:
        """Step 1; raises MessageInvalid, TooFewClients."""
        with self._step("share_keys", "masked_input"):
            plan = self.plan
            records = messages.read_records(plan, messages.KEY_LIST, key_list, _SERVER)
            for index, record in records.items():
                cipher, mask, signature = record[:32], record[32:64], record[64:]
                name = plan.name(index)
                if not plan.is_signed(name, signature, plan.keys_statement(name, cipher, mask)):
                    raise MessageInvalid(_SERVER, f"keys that {name} has not signed")
                self._keys[index] = (cipher, mask)
            mine = (keys.public_key(self._cipher_key), keys.public_key(self._mask_key))
            if self._keys.get(self.index) != mine:
                raise MessageInvalid(_SERVER, "a list of keys without ours")
            every = [key for pair in self._keys.values() for key in pair]
            if len(set(every)) != len(every):
                raise MessageInvalid(_SERVER, "a key that appears twice")
            self._require_enough(len(self._keys))
            self._key_list = key_list
            return self._sealed_shares()

    def masked_input(self, relayed: bytes, vector: NDArray[Any]) -> NDArray[np.uint8]:
        """Step 2: the vector (length,) of ring words, masked, as a message; the vector itself stays as it is.

        raises MessageInvalid, TooFewClients, RangeExceeded when the vector does not fit the plan
        """
        with self._step("masked_input", "sign_survivors"):
            plan = self.plan
            if vector.shape != (plan.length,) or vector.dtype != plan.dtype:
                raise RangeExceeded(f"a vector of {plan.length} words of {plan.ring_bits} bits was due")
            records = messages.read_records(plan, messages.RELAYED, relayed, _SERVER)
            if self.index in records or not records.keys() <= self._keys.keys():
                raise MessageInvalid(_SERVER, "shares of clients that advertised no keys")
            for index, sealed in records.items():
                self._held[index] = self._open(index, sealed)
            self._require_enough(len(self._held))
            message, words = messages.masked_buffer(plan, self.index)
            words[:] = vector
            plus = [keys.self_stream(plan, self._seed, self.index)]
            minus: list[Prg] = []
            for index in self._held:
                if index != self.index:
                    secret = keys.agree(self._mask_key, self._keys[index][1], plan.name(index))
                    stream = keys.pair_stream(plan, secret, self.index, index)
                    (plus if self.index < index else minus).append(stream)
            add_streams(words, plus, minus)
            return message

    def sign_survivors(self, survivors: bytes) -> bytes:
        """Step 3; raises MessageInvalid, TooFewClients."""
        with self._step("sign_survivors", "unmask"):
            listed = messages.read_records(self.plan, messages.SURVIVORS, survivors, _SERVER)
            if self.index not in listed or not listed.keys() <= self._held.keys():
                raise MessageInvalid(_SERVER, "survivors that never shared their keys, or not us")
            self._require_enough(len(listed))
            self._survivors = survivors
            statement = self.plan.survivors_statement(self._key_list, survivors)
            return messages.write_single(messages.SIGNATURE, self._identity.sign(statement))

    def unmask(self, signatures: bytes) -> bytes:
        """Step 4; raises MessageInvalid, SurvivorsDisputed."""
        with self._step("unmask", "done"):
            plan = self.plan
            listed = messages.read_records(plan, messages.SURVIVORS, self._survivors, _SERVER)
            self._require_consent(signatures, listed)
            answer = {}
            for index, (key_share, seed_share) in self._held.items():
                kind, share = (
                    (messages.SEED_SHARE, seed_share) if index in listed else (messages.KEY_SHARE, key_share)
                )
                answer[index] = bytes([kind]) + share.to_bytes(shamir.SHARE_BYTES, "big")
            self._forget()
            return messages.write_records(messages.UNMASK, answer)

    def _require_consent(self, signatures: bytes, listed: dict[int, bytes]) -> None:
        """Enough survivors saw the list that we saw; else the server might hold two lists and unmask somebody."""
        plan = self.plan
        signed = messages.read_records(plan, messages.SIGNATURES, signatures, _SERVER)
        statement = plan.survivors_statement(self._key_list, self._survivors)
        for index, signature in signed.items():
            if index not in listed or not plan.is_signed(plan.name(index), signature, statement):
                raise SurvivorsDisputed(
                    f"{plan.name(index)} has not signed the list of survivors that we saw"
                )
        if len(signed) < plan.threshold:
            raise SurvivorsDisputed(
                f"{len(signed)} signatures on the list of survivors, {plan.threshold} are needed"
            )

    def _sealed_shares(self) -> bytes:
        plan, points = self.plan, sorted(self._keys)
        key_shares, seed_shares = (
            shamir.split(int.from_bytes(secret, "big"), plan.threshold, points, self._share_coins)
            for secret in (self._mask_key, self._seed)
        )
        records = {}
        for index, key_share, seed_share in zip(points, key_shares, seed_shares, strict=True):
            if index == self.index:
                self._held[index] = (key_share, seed_share)
                continue
            secret = keys.agree(self._cipher_key, self._keys[index][0], plan.name(index))
            sealer = AESGCM(keys.sealing_key(plan, secret, self.index, index))
            plain = b"".join(s.to_bytes(shamir.SHARE_BYTES, "big") for s in (key_share, seed_share))
            records[index] = sealer.encrypt(_NONCE, plain, self._bound_to(self.index, index))
        body = messages.write_records(messages.SHARES, records)
        return body[:1] + keys.seed_commitment(plan, self._seed, self.index) + body[1:]

    def _open(self, sender: int, sealed: bytes) -> tuple[int, int]:
        secret = keys.agree(self._cipher_key, self._keys[sender][0], self.plan.name(sender))
        opener = AESGCM(keys.sealing_key(self.plan, secret, sender, self.index))
        try:
            plain = opener.decrypt(_NONCE, sealed, self._bound_to(sender, self.index))
        except InvalidTag:
            raise MessageInvalid(self.plan.name(sender), "sealed shares that don't open") from None
        width = shamir.SHARE_BYTES
        shares = int.from_bytes(plain[:width], "big"), int.from_bytes(plain[width:], "big")
        if max(shares) >= shamir.PRIME:
            raise MessageInvalid(self.plan.name(sender), "a share that is no field element")
        return shares

    def _bound_to(self, sender: int, recipient: int) -> bytes:
        return encode(self.plan.digest, sender.to_bytes(2, "big"), recipient.to_bytes(2, "big"))

    def _require_enough(self, count: int) -> None:
        if count < self.plan.threshold:
            raise TooFewClients(f"{count} clients are left, {self.plan.threshold} are needed")

    @contextmanager
    def _step(self, due: str, following: str) -> Iterator[None]:
        """One step, once, in its turn; whatever goes wrong ends this client."""
        if self._due != due:
            raise OutOfOrder(f"{self.name}: {due} where {self._due} was due")
        self._due = "nothing more"
        try:
            yield
        except BaseException:
            self._forget()
            raise
        self._due = following

    def _forget(self) -> None:
        self._cipher_key = self._mask_key = self._seed = b""
        self._held = {}
