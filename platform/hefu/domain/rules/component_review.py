"""K5, code audit 关键代码审计: two independent organisations passed exactly this code; what else enters is reviewed too.

White paper A, 3.5 (critical code is audited) and 3.2, third point (models and parameters that enter are assessed
separately); 2.1: confidential parameters count as data, and their provider as a data provider.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hefu.domain.contract import Contract, Step
from hefu.domain.filings.reviews import ComponentReview, InputReview
from hefu.domain.identity import Role
from hefu.domain.positions import control_groups, under_common_control
from hefu.domain.rules.matter import Matter, Rule
from hefu.domain.rules.pick import concerning, dossiers, newest_each, of_contract
from hefu.domain.rules.say import block
from hefu.domain.verdict import Finding

REVIEWERS_NEEDED = 2
_INPUTS = {"model_digest": "model", "confidential_parameters": "parameters"}


def check_component_reviews(matter: Matter) -> Iterator[Finding]:
    """Each step's (component, code digest, engine version) was passed by two organisations that nobody controls together (white paper A, 3.5)."""
    groups = control_groups(matter.applications, dossiers(matter))
    for step in matter.contract.computation.steps:
        said = newest_each(
            r
            for r in concerning(matter, ComponentReview)
            if (r.component, r.code_digest, r.engine_version)
            == (step.component, step.code_digest, step.engine_version)
        )
        failed = sorted(org for org, r in said.items() if not r.passed)
        # an organisation without a known application may be anybody's: it does not count
        passed = sorted(org for org, r in said.items() if r.passed and org in matter.applications)
        independent = {groups[org] for org in passed}
        rest: dict[str, Any] = {
            "expected": f">= {REVIEWERS_NEEDED} independent organisations passed {step.code_digest[:16]} / {step.engine_version}",
            "mend_zh": "由互不受共同控制的至少两家机构评审该版本代码并备案",
            "mend_en": "have two organisations that are not under common control review this code and file it",
            "source": "WP-A 3.5",
            "law": ("pipl-51", "dsl-27"),
        }
        if failed:
            yield block(
                "component_review_failed",
                "K5",
                f"组件 {step.component} 的现行代码未通过 {'、'.join(failed)} 的评审",
                f"component {step.component}: this code was not passed by {', '.join(failed)}",
                party=failed[0],
                seen=f"failed by {', '.join(failed)}",
                **rest,
            )
        elif len(independent) < REVIEWERS_NEEDED:
            yield block(
                "component_not_reviewed",
                "K5",
                f"组件 {step.component} 的现行代码仅通过 {len(independent)} 家独立机构的评审",
                f"component {step.component}: this code was passed by {len(independent)} independent organisations",
                seen=", ".join(passed) or "none",
                **rest,
            )


def check_input_reviews(matter: Matter) -> Iterator[Finding]:
    """A model or confidential parameters that enter were reviewed by a party that does not own them (white paper A, 3.2)."""
    contract, related = matter.contract, dossiers(matter)
    parties = {p.org_id for p in contract.parties}
    for step in contract.computation.steps:
        for subject, digest, owner in inputs_of(step):
            owners = {owner} if owner else owners_of_inputs(contract)
            said = newest_each(
                r
                for r in of_contract(matter, InputReview)
                if r.issuer in parties and r.subject == subject and r.digest_reviewed == digest
            )
            failed = sorted(org for org, r in said.items() if not r.passed)
            others = [
                org
                for org, r in said.items()
                if r.passed
                and not any(
                    org == o or under_common_control(org, o, matter.applications, related) for o in owners
                )
            ]
            if failed or not others or not owners:
                yield block(
                    "input_review_failed" if failed else "input_not_reviewed",
                    "K5",
                    f"步骤 {step.step_id} 输入的{'模型' if subject == 'model' else '参数'}"
                    f"{'未通过评审' if failed else '未经非所有方评审'}",
                    f"step {step.step_id}: the {subject} that enters "
                    f"{'was not passed' if failed else 'was reviewed by no party other than its owner'}",
                    party=failed[0] if failed else None,
                    seen=", ".join(failed or said) or "none",
                    expected=f"a passed review of {digest[:16]} by a party other than {', '.join(sorted(owners)) or 'its owner'}",
                    mend_zh="由非所有方评审其逻辑的安全性与合理性并备案",
                    mend_en="a party that does not own it reviews its logic and files the review",
                    source="WP-A 3.2",
                    law=("pipl-51",),
                )


def inputs_of(step: Step) -> list[tuple[str, str, str | None]]:
    """(model or parameters, digest, owner where named) of what enters a step besides data sets.

    Parameters `model_digest` and `confidential_parameters` hold a digest, or {"digest": …, "owner": …}, or a list of these.
    """
    found = []
    for key, subject in _INPUTS.items():
        value = step.parameters.get(key)
        if value is None or value == []:
            continue
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(one, Mapping):
                owner = one.get("owner")
                found.append((subject, str(one.get("digest")), str(owner) if owner else None))
            else:
                found.append((subject, str(one), None))
    return found


def owners_of_inputs(contract: Contract) -> set[str]:
    """Who may own a model or parameters that name no owner: algorithm providers, and the owners of the model."""
    providers = {p.org_id for p in contract.parties if Role.ALGORITHM_PROVIDER in p.roles}
    return providers | ({s.org_id for s in contract.model_terms.ownership} if contract.model_terms else set())


RULES: tuple[Rule, ...] = (check_component_reviews, check_input_reviews)
