"""The ledger as a node verifies it itself, against a coordinator that lies."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hefu.keys.public import public_b64
from hefu.node.console.verification import unpack
from hefu.node.directory import Directory
from hefu_ledger.entry import Entry
from hefu_ledger.evidence import Evidence
from hefu_ledger.keys import KeyEntry, KeyList
from hefu_ledger.merkle import leaf_hash, root_of
from hefu_ledger.note import sign_checkpoint, vkey
from hefu_ledger.proof import Receipt
from hefu_ledger.tiles import ENTRIES, TileBuilder, pack_entries, tile_path, widths

pytestmark = pytest.mark.server

ORIGIN, AT = "hefu.test/ledger", "2026-03-03T01:00:00.000000Z"


class Log:
    """A log of a few entries, its export, and a coordinator that serves it."""

    def __init__(self, node: Any, cast: dict[str, Any]) -> None:
        self.node, self.key, self.coordinator = (
            node,
            Ed25519PrivateKey.generate(),
            Ed25519PrivateKey.generate(),
        )
        ctx = node.ctx
        ctx.kit = ctx.kit.model_copy(
            update={
                "ledger_vkey": vkey(ORIGIN, self.key.public_key()),
                "coordinator_key": public_b64(self.coordinator),
            }
        )
        ctx.directory = Directory(ctx.engine, ctx.kit)
        ctx.directory.load()
        self.signers = {
            "coordinator": self.coordinator,
            "auditor": cast["auditor"].keys.identity,
            "bank": cast["bank"].keys.identity,
        }
        said: dict[str, tuple[int, str | None]] = {}
        self.bodies = []
        for seq, actor in enumerate(["coordinator", "auditor", "bank", "coordinator", "auditor"]):
            number, prev = said.get(actor, (0, None))
            evidence = Evidence(
                kind="stage_done", actor=actor, at=AT, signer_seq=number + 1, prev=prev, body={"n": seq}
            )
            envelope = evidence.sign(self.signers[actor])
            said[actor] = (number + 1, envelope.id)
            self.bodies.append(Entry(seq, AT, envelope).to_bytes())

    def serve(self, **forged: Any) -> None:
        bodies = forged.get("bodies", self.bodies)
        keys = KeyList(KeyEntry(a, k.public_key()) for a, k in forged.get("signers", self.signers).items())
        key = forged.get("log_key", self.key)
        files = {"keys.json": keys.to_bytes(), "log.vkey": vkey(ORIGIN, key.public_key()).encode() + b"\n"}
        leaves = [leaf_hash(body) for body in bodies]
        self.checkpoint = sign_checkpoint(ORIGIN, len(bodies), root_of(leaves), key)
        files["checkpoint"] = self.checkpoint.note
        builder = TileBuilder(lambda path, data: files.update({path: data}))
        for leaf in leaves:
            builder.add(leaf)
        builder.finish()
        for index, width in widths(len(bodies)):
            files[tile_path(ENTRIES, index, width)] = pack_entries(bodies[index * 256 :][:width])
        self.node.coordinator.answers[("GET", "/api/ledger/export")] = tar_of(files)


def tar_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"ledger/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def log(make_node: Callable[[str], Any], cast: dict[str, Any]) -> Log:
    node = make_node("regulator")
    node.viewer = node.person("viewer")
    return Log(node, cast)


def verified(log: Log) -> Any:
    started = log.node.http.post("/console/ledger/verify", headers=log.node.viewer).json()
    assert started["state"] in ("running", "passed", "failed")
    for _ in range(200):
        view = log.node.http.get("/console/ledger/verify", headers=log.node.viewer).json()
        if view["state"] != "running":
            return view
        time.sleep(0.05)
    raise AssertionError("the verification does not end")


def test_before_anybody_asked_it_is_idle(log: Log) -> None:
    assert log.node.http.get("/console/ledger/verify", headers=log.node.viewer).json()["state"] == "idle"


def test_an_honest_copy_verifies_and_names_whose_keys_came_with_it(log: Log) -> None:
    log.serve()
    view = verified(log)
    assert (view["state"], view["size"], view["done"], view["total"]) == ("passed", 5, 5, 5), view
    assert "bank" in view["message_en"]
    assert "auditor" not in view["message_en"]
    assert list(log.node.ctx.paths.work.iterdir()) == []


def test_a_copy_signed_by_another_log_key_fails(log: Log) -> None:
    log.serve(log_key=Ed25519PrivateKey.generate())
    assert verified(log)["state"] == "failed"


def test_evidence_forged_in_a_pinned_partys_name_fails_though_the_copy_brings_a_fitting_key(log: Log) -> None:
    false_key = Ed25519PrivateKey.generate()
    envelope = Evidence(kind="stage_done", actor="auditor", at=AT, signer_seq=1, prev=None, body={}).sign(
        false_key
    )
    log.serve(bodies=[Entry(0, AT, envelope).to_bytes()], signers={"auditor": false_key})
    view = verified(log)
    assert view["state"] == "failed", view


def test_an_entry_altered_or_left_out_fails(log: Log) -> None:
    log.serve(bodies=[*log.bodies[:2], *log.bodies[3:]])
    assert verified(log)["state"] == "failed"
    log.serve()
    honest = log.node.coordinator.answers[("GET", "/api/ledger/export")]
    altered = honest.replace(
        b"eyJhY3RvciI6ImJhbmsi", b"eyJhY3RvciI6ImJhbmtp", 1
    )  # one letter of the third entry's actor
    assert altered != honest
    log.node.coordinator.answers[("GET", "/api/ledger/export")] = altered
    assert verified(log)["state"] == "failed"


@pytest.mark.parametrize("answer", [b"", b"not a tar", {"json": 1}, tar_of({})])
def test_something_else_than_a_copy_fails_and_says_so(log: Log, answer: Any) -> None:
    log.node.coordinator.answers[("GET", "/api/ledger/export")] = answer
    view = verified(log)
    assert view["state"] == "failed"
    assert view["message_zh"]


def test_a_silent_coordinator_fails_the_verification(log: Log) -> None:
    assert verified(log)["state"] == "failed"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../x", tarfile.REGTYPE),
        ("/etc/x", tarfile.REGTYPE),
        ("a/../../x", tarfile.REGTYPE),
        ("x", tarfile.SYMTYPE),
        ("x", tarfile.LNKTYPE),
        ("x", tarfile.CHRTYPE),
    ],
)
def test_archives_that_reach_outside_are_refused(tmp_path: Path, name: str, kind: bytes) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(ValueError, match="archive"):
        unpack(out.getvalue(), tmp_path / "inside")
    assert not (tmp_path / "x").exists()


def detail(log: Log, seq: int, **lies: Any) -> dict[str, Any]:
    entry = Entry.from_bytes(log.bodies[seq])
    view = {
        "seq": seq,
        "logged_at": AT,
        "kind": "lie",
        "actor": "nobody",
        "contract": None,
        "job": None,
        "stage": None,
        "attempt": None,
        "envelope_id": entry.envelope.id,
        "leaf_hash": "00",
    }
    return {
        "entry": view,
        "body": {"n": "lie"},
        "at": AT,
        "signer_seq": 9,
        "prev": None,
        "key_id": "lie",
        "signature_valid": True,
        "inclusion_valid": True,
        "checkpoint": "",
        "raw": log.bodies[seq].decode(),
        **lies,
    }


def shown(log: Log, seq: int, told: dict[str, Any], receipt: str | None = None) -> Any:
    answers = log.node.coordinator.answers
    answers[("GET", f"/api/ledger/entries/{seq}")] = told
    if receipt is not None:
        answers[("GET", f"/api/ledger/receipts/{Entry.from_bytes(log.bodies[seq]).envelope.id}")] = {
            "receipt": receipt
        }
    return log.node.http.get(f"/console/ledger/entries/{seq}", headers=log.node.viewer)


def receipt_of_first_of_two(log: Log) -> str:
    leaves = [leaf_hash(body) for body in log.bodies[:2]]
    checkpoint = sign_checkpoint(ORIGIN, 2, root_of(leaves), log.key)
    return Receipt(0, (leaves[1],), checkpoint.note, AT).to_bytes().decode()


def test_an_entry_is_shown_from_its_bytes_not_from_what_is_said_of_them(log: Log) -> None:
    view = shown(log, 0, detail(log, 0), receipt_of_first_of_two(log)).json()
    assert (view["entry"]["kind"], view["entry"]["actor"], view["body"]) == (
        "stage_done",
        "coordinator",
        {"n": 0},
    )
    assert view["entry"]["leaf_hash"] == leaf_hash(log.bodies[0]).hex()
    assert (view["signature_valid"], view["inclusion_valid"]) == (True, True)


def test_a_receipt_that_does_not_hold_is_no_inclusion_whatever_is_claimed(log: Log) -> None:
    false_log = Ed25519PrivateKey.generate()
    leaves = [leaf_hash(body) for body in log.bodies[:2]]
    forged = (
        Receipt(0, (leaves[1],), sign_checkpoint(ORIGIN, 2, root_of(leaves), false_log).note, AT)
        .to_bytes()
        .decode()
    )
    for receipt in (None, "", "nonsense", forged):
        assert shown(log, 0, detail(log, 0), receipt).json()["inclusion_valid"] is False


def test_a_signature_by_another_key_is_not_valid_whatever_is_claimed(log: Log) -> None:
    evidence = Evidence(kind="stage_done", actor="auditor", at=AT, signer_seq=1, prev=None, body={})
    forged = Entry(1, AT, evidence.sign(Ed25519PrivateKey.generate())).to_bytes()
    assert shown(log, 1, detail(log, 1, raw=forged.decode())).json()["signature_valid"] is False


@pytest.mark.parametrize("raw", ["", "{}", "swapped"])
def test_other_bytes_than_the_entry_asked_for_are_refused(log: Log, raw: str) -> None:
    told = detail(log, 0, raw=log.bodies[1].decode() if raw == "swapped" else raw)
    answer = shown(log, 0, told)
    assert (answer.status_code, answer.json()["code"]) == (502, "entry_invalid")


def test_the_state_adds_what_this_node_knows_itself(log: Log) -> None:
    node = log.node
    node.coordinator.answers[("GET", "/api/ledger/state")] = {
        "size": 5,
        "root": "r",
        "checkpoint_at": None,
        "origin": ORIGIN,
        "entries_today": 5,
        "unreceipted": 0,
    }
    with node.ctx.session() as session:
        node.ctx.record(session, "something", {})
        session.commit()
    log.serve()
    verified(log)
    state = node.http.get("/console/ledger/state", headers=node.viewer).json()
    assert (state["unreceipted"], state["last_verified_ok"]) == (1, True)
