"""What a contract says about the model that comes out of it 模型归属 (K6; white paper A, 3.6): agreed before it exists."""

from __future__ import annotations

from collections.abc import Iterable

from hefu.domain.filings.models import ModelRegistration
from hefu.domain.rules.licences import refuse
from hefu.domain.rules.matter import Matter, Rule
from hefu.domain.rules.say import warn
from hefu.domain.terms import LicenceKind
from hefu.domain.verdict import Finding

PARTS = ("code", "structure", "parameters")


def check_model_terms(matter: Matter) -> Iterable[Finding]:
    """Blocks a model without terms of ownership and licence, and terms that do not fit who receives it (white paper A, 3.6)."""
    contract, terms = matter.contract, matter.contract.model_terms
    outputs = [o for o in contract.outputs if o.form == "model"]
    made = bool(outputs) or contract.template == "joint_modelling"
    if terms is None:
        if made:
            yield refuse(
                "model_terms_missing",
                "合约产出模型，但未约定模型归属与许可",
                "a model comes out of this contract, and nobody's ownership or licence is agreed",
                "约定代码、结构与参数的归属和许可方式",
                "agree who owns code, structure and parameters, and under which licence",
            )
        return
    if not made:
        yield _idle()
    missing = [part for part in PARTS if part not in {share.part for share in terms.ownership}]
    if missing:
        yield refuse(
            "model_parts_unowned",
            "模型归属未覆盖源代码、模型结构与参数",
            "ownership is not agreed for code, structure and parameters alike",
            "逐项约定归属",
            "agree it for each part",
            seen=", ".join(missing),
        )
    parties = {party.org_id for party in contract.parties}
    strangers = sorted({*terms.own_parts, *terms.licensees} - parties)
    if strangers:
        yield refuse(
            "model_holder_no_party",
            "部分模型的持有方或被许可方不是合约当事方",
            "a holder of a part or a licensee is no party of the contract",
            "将其列为当事方并签署，或另行登记许可",
            "make it a party that signs, or file a licence later",
            seen=", ".join(strangers),
        )
    owners = {share.org_id for share in terms.ownership}
    users = set(terms.licensees) if terms.licence is LicenceKind.EXCLUSIVE else owners | set(terms.licensees)
    for output in outputs:
        if output.recipient not in users:
            yield refuse(
                "model_recipient_unlicensed",
                "模型接收方既非可使用的权利人，也非被许可方",
                "whoever receives the model may not use it: neither licensee nor an owner that still may",
                "将接收方列为被许可方",
                "make the recipient a licensee",
                party=output.recipient,
                expected=", ".join(sorted(users)),
            )
    if terms.valid_until is not None and terms.valid_until < matter.today.isoformat():
        yield refuse(
            "model_terms_expired",
            "模型许可期限已过",
            "the model's terms have ended",
            "由各方重新签署",
            "have them signed anew",
            seen=terms.valid_until,
            expected=f">= {matter.today.isoformat()}",
        )


def check_registered_owners(matter: Matter) -> Iterable[Finding]:
    """Blocks when a model is registered under this contract with other owners than it agrees on (white paper A, 3.6)."""
    terms = matter.contract.model_terms
    agreed = set() if terms is None else {(s.org_id, s.part, s.share_ppm) for s in terms.ownership}
    for found in matter.filings.all(ModelRegistration, contract_id=matter.contract.contract_id):
        if (
            found.in_force(matter.today)
            and {(s.org_id, s.part, s.share_ppm) for s in found.ownership} != agreed
        ):
            yield refuse(
                "model_registration_differs",
                "登记的模型归属与合约约定不一致",
                "the registered ownership is not the contract's",
                "按合约更正登记，或由各方重新签署归属条款",
                "register what the contract says, or have ownership signed anew",
                party=found.issuer,
                seen=found.model_id,
            )


def _idle() -> Finding:
    return warn(
        "model_terms_idle",
        "K6",
        "合约约定了模型归属，但没有产出模型",
        "ownership of a model is agreed, and no model comes out",
        source="WP-A 3.6",
        law=("cc-509",),
        mend_zh="去掉该条款，或增加模型产出",
        mend_en="leave the clause out, or name the model as an output",
    )


RULES: tuple[Rule, ...] = (check_model_terms, check_registered_owners)
