"""The console's endpoints for the life of a contract: two persons, templates, text, PDF, renewal, changes."""

import base64
import re
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hefu.domain.contract import Contract
from hefu.node import contracts as service
from hefu.node import preferences

pytestmark = pytest.mark.server


@pytest.fixture
def node(make_node: Callable[[str], Any], know_registry: Callable[[Any], None]) -> Any:
    made = make_node("regulator")
    know_registry(made)
    made.both = made.person("preparer", "approver")
    made.second = made.person("approver")
    return made


@pytest.fixture
def signing(node: Any, contract_of: Any, keep: Any, monkeypatch: Any) -> Any:
    node.signed = []
    monkeypatch.setattr(service, "sign", lambda ctx, digest, user: node.signed.append(user))
    contract = contract_of(node)
    keep(node, contract, state="signing", signed_by=("bank",))
    node.path = f"/console/contracts/{contract.digest}"
    return node


def test_who_prepared_does_not_approve(signing: Any) -> None:
    first = signing.http.post(f"{signing.path}/sign", headers=signing.both)
    assert (first.status_code, len(first.json()["prepared"]), signing.signed) == (200, 1, [])
    own = signing.http.post(f"{signing.path}/sign", headers=signing.both)
    assert (own.status_code, own.json()["code"], own.json()["limit"]) == (403, "same_person", "two_person")
    assert own.json()["mend_zh"]
    assert signing.signed == []
    assert signing.http.post(f"{signing.path}/sign", headers=signing.second).json()["prepared"] == []
    assert len(signing.signed) == 1
    kinds = [e["kind"] for e in signing.evidence()]
    assert kinds == ["decision_prepared", "decision_approved"]


def test_without_the_rule_one_is_enough(signing: Any, monkeypatch: Any) -> None:
    admin = signing.person("admin")
    assert (
        signing.http.put("/console/two-person", json={"enabled": False}, headers=signing.both).status_code
        == 403
    )
    assert signing.http.put("/console/two-person", json={"enabled": False}, headers=admin).status_code == 200
    assert signing.http.post(f"{signing.path}/sign", headers=signing.person("preparer")).status_code == 403
    assert signing.signed == []
    assert signing.http.post(f"{signing.path}/sign", headers=signing.both).status_code == 200
    assert len(signing.signed) == 1


def test_removing_the_rule_is_noticed(signing: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(preferences, "two_person", lambda session: False)
    signing.http.post(f"{signing.path}/sign", headers=signing.both)
    assert len(signing.signed) == 1  # the rule is what stops one person


def test_a_notice_is_approved_as_it_was_prepared(signing: Any, monkeypatch: Any) -> None:
    given: list[str] = []
    monkeypatch.setattr(service, "give_notice", lambda ctx, digest, kind, reason, user: given.append(reason))
    path = f"{signing.path}/notices"
    body = {"kind": "refuse", "reason": "期限过长"}
    assert signing.http.post(path, json=body, headers=signing.both).status_code == 200
    other = {**body, "reason": "别的理由"}
    assert signing.http.post(path, json=other, headers=signing.second).status_code == 200
    assert given == []  # another reason is another decision: prepared, not approved
    assert signing.http.post(path, json=body, headers=signing.second).status_code == 200
    assert given == ["期限过长"]


def test_a_preparation_is_turned_down(signing: Any) -> None:
    signing.http.post(f"{signing.path}/sign", headers=signing.both)
    (waiting,) = signing.http.get("/console/preparations", headers=signing.second).json()
    path = f"/console/preparations/{waiting['preparation_id']}/refuse"
    assert signing.http.post(path, json={"text": "x"}, headers=signing.person("preparer")).status_code == 403
    assert (
        signing.http.post(path, json={"text": "附件缺失"}, headers=signing.second).json()["state"]
        == "refused"
    )
    assert signing.http.get("/console/preparations", headers=signing.second).json() == []
    assert signing.http.post(path, json={"text": "x"}, headers=signing.second).status_code == 404


def test_a_proposal_takes_two(node: Any, contract_of: Any, monkeypatch: Any) -> None:
    proposed: list[str] = []
    contract = contract_of(node)

    def propose(ctx: Any, document: Contract, user: str) -> str:
        proposed.append(document.digest)
        service._keep(ctx, document, proposed_by="regulator")
        return document.digest

    monkeypatch.setattr(service, "propose", propose)
    body = contract.model_dump(mode="json")
    view = node.http.post("/console/contracts", json=body, headers=node.both).json()
    assert view["prepared"][0]["document"].encode() == contract.to_bytes()
    assert node.http.post("/console/contracts", json=body, headers=node.both).json()["code"] == "same_person"
    assert proposed == []
    assert node.http.post("/console/contracts", json=body, headers=node.second).status_code == 201
    assert proposed == [contract.digest]


def test_the_mandate_holds_the_files_digest(node: Any, draft_form: Any) -> None:
    form = {**draft_form, "mandate_number": "监发 1 号"}
    missing = node.http.post("/console/contracts/draft", json=form, headers=node.both)
    assert (missing.status_code, missing.json()["limit"]) == (422, "mandate.file_digest")
    form["mandate_digest"] = "b" * 64
    drafted = node.http.post("/console/contracts/draft", json=form, headers=node.both).json()["document"]
    assert (drafted["mandate"]["file_digest"], drafted["proposer"]) == ("b" * 64, "regulator")


def test_templates_say_honestly_what_is_not_there(node: Any, draft_form: Any) -> None:
    from hefu.components.registry import COMPONENTS

    found = {
        t["template"]: t for t in node.http.get("/console/contracts/templates", headers=node.both).json()
    }
    assert len(found) == 6
    assert found["t1_reconciliation"]["available"]
    assert found["joint_statistics"]["available"] is ("aggregate" in COMPONENTS)
    form = {
        "template": "face_matching",
        "contract_id": "HF-FACE-1",
        "title": "x",
        "title_en": "x",
        "data_sets": {"institution": "loans", "bank": "flows"},
        "recipient": "regulator",
        "compute_parties": ["operator", "bank", "exchange"],
        "auditor": "auditor",
        "valid_from": draft_form["valid_from"],
        "valid_until": draft_form["valid_until"],
    }
    for name, template in found.items():
        assert template["available"] or (template["reason_zh"] and template["reason_en"])
        if not template["available"]:
            answer = node.http.post(
                "/console/contracts/draft", json={**form, "template": name}, headers=node.both
            )
            assert (answer.status_code, answer.json()["code"]) == (409, "template_unavailable"), name


def test_text_changes_and_renewal(node: Any, contract_of: Any, keep: Any) -> None:
    contract = contract_of(node)
    keep(node, contract)
    path = f"/console/contracts/{contract.digest}"
    for language, word in (("zh", "风险提示"), ("en", "Risk notice")):
        text = node.http.get(f"{path}/text?language={language}", headers=node.both).json()
        assert text["digest"] == contract.digest
        assert any(word in section["title"] for section in text["sections"])
    assert node.http.get(f"{path}/changes", headers=node.both).json() == []
    early = {"valid_until": "2098-01-01T00:00:00Z", "max_uses": 500}
    assert (
        node.http.post(f"{path}/renewal", json=early, headers=node.both).json()["limit"]
        == "limits.valid_until"
    )
    fewer = {"valid_until": "2100-01-01T00:00:00Z", "max_uses": 1}
    assert (
        node.http.post(f"{path}/renewal", json=fewer, headers=node.both).json()["limit"] == "limits.max_uses"
    )
    later = {"valid_until": "2100-01-01T00:00:00Z", "max_uses": 500}
    view = node.http.post(f"{path}/renewal", json=later, headers=node.both).json()
    second = Contract.model_validate(view["document"])
    assert (second.version, second.previous, second.limits.max_uses) == (2, contract.digest, 500)
    keep(node, second, state="signing")
    found = node.http.get(f"/console/contracts/{second.digest}/changes", headers=node.both).json()
    assert [c["clause"] for c in found] == ["limits.max_uses", "limits.valid_until"]


def streams(pdf: bytes) -> bytes:
    """The page contents of a PDF as ReportLab writes it: ASCII85 over deflate."""
    found = re.findall(rb"/ASCII85Decode /FlateDecode.*?stream\r?\n(.*?)endstream", pdf, re.S)
    return b"\n".join(zlib.decompress(base64.a85decode(s.strip().removesuffix(b"~>"))) for s in found)


def test_the_pdf_has_digest_and_chinese_text_on_it(node: Any, contract_of: Any, keep: Any) -> None:
    from hefu.node import contract_pdf

    contract = contract_of(node)
    pdf = contract_pdf.make_pdf(contract, "zh", [])
    assert pdf == contract_pdf.make_pdf(contract, "zh", [])
    assert b"STSong-Light" in pdf
    pages = streams(pdf)

    def written(text: str) -> bytes:
        """As the CID font writes it: UTF-16 with escapes that differ by byte; compare the plain ones."""
        return text.encode("utf-16-be")

    plain = re.sub(rb"\\(\d{3})", lambda m: bytes([int(m[1], 8)]), pages)
    plain = re.sub(rb"\\(.)", rb"\1", plain, flags=re.S)
    assert written(contract.digest) in plain
    assert written("第 1 页") in plain
    assert written("电子签名法") in plain
    assert written("尚未签署") in plain
