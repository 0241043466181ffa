"""Retention and deletion 保存与删除: when which thing is due, and who has not certified (white paper A, 3.2 sixth point, 4.1)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Literal, NamedTuple

from hefu.domain.contract import Contract
from hefu.domain.filings import Filings
from hefu.domain.filings.events import DeletionCertificate, LegalHold, MinimisationReview
from hefu.domain.rules.matter import Matter, Rule
from hefu.domain.rules.say import warn
from hefu.domain.verdict import Finding


class Due(NamedTuple):
    """The day from which a thing must be destroyed (null while a hold stands), and which rule decided."""

    on: date | None
    because: Literal["hold", "minimum", "retention", "termination"]


_OWN = ("data_set_file", "query_set")


def holds(filings: Filings, contract_id: str, today: date) -> tuple[LegalHold, ...]:
    """Legal holds 法律保留 that stand (white paper A, 3.2): of one issuer and document number the newest counts."""
    newest = {(h.issuer, h.document_number): h for h in filings.all(LegalHold, contract_id=contract_id)}
    return tuple(h for h in newest.values() if not h.lifted and h.in_force(today))


def due(
    contract: Contract,
    filings: Filings,
    today: date,
    *,
    made_on: date,
    data_set_id: str | None = None,
    terminated_on: date | None = None,
) -> Due:
    """When a thing made on a day is due: hold first, then minimum, then retention or termination (white paper A, 3.2; PIPL 19, 47).

    data_set_id  whose minimum counts; null for what is made of all data sets: the longest minimum
    raises       ValueError where the contract has no such data set
    """
    if holds(filings, contract.contract_id, today):
        return Due(None, "hold")
    minima = [d.minimum_retention_days for d in contract.data_sets if data_set_id in (None, d.data_set_id)]
    if not minima:
        raise ValueError(f"{data_set_id}: no data set of this contract")
    minimum = made_on + timedelta(days=max(minima))
    planned = Due(made_on + timedelta(days=contract.retention_days), "retention")
    if terminated_on is not None and terminated_on < (planned.on or terminated_on):
        planned = Due(max(terminated_on, made_on), "termination")
    if planned.on is not None and planned.on < minimum:
        return Due(minimum, "minimum")
    return planned


def overdue(party: str, what: str, due_on: date, today: date) -> Finding | None:
    """The alarm for a thing that should be gone (white paper A, 3.2, sixth point), or None while it is not overdue."""
    if due_on >= today:
        return None
    return warn(
        "deletion_overdue",
        "K13",
        f"{party} 逾期未删除或未出具删除证明：{what}",
        f"{party} has not deleted, or not certified: {what}",
        party=party,
        seen=f"due {due_on}, today {today}",
        expected="deleted and certified by the due date",
        mend_zh="请销毁相应密钥，并备案经签名的删除证明",
        mend_en="destroy the keys and file the signed deletion certificate",
        source="WP-A 3.2",
        law=("pipl-21", "pipl-47"),
    )


def check_deletion(matter: Matter) -> Iterator[Finding]:
    """After the contract's end each entrusted compute party certifies its deletion (white paper A, 4.1; PIPL art. 21)."""
    contract = matter.contract
    yield from uncertified(contract, matter.filings, matter.today, contract.limits.valid_until.date())


def uncertified(contract: Contract, filings: Filings, today: date, ended: date) -> Iterator[Finding]:
    """The compute parties that have neither certified a deletion since the end, nor reviewed that they hold nothing.

    ended  the day of termination, or the last day of validity. An owner's own data set, and whom its own answers were
           about, are not what it was entrusted with
    """
    if ended >= today:
        return
    planned = due(contract, filings, today, made_on=ended, terminated_on=ended)
    if planned.on is None:
        return
    for org in contract.computation.compute_parties:
        certified = any(
            c.deleted_at.date() >= ended and c.reason in ("due", "terminated")
            for c in filings.all(DeletionCertificate, issuer=org, contract_id=contract.contract_id)
        )
        nothing_held = any(
            date.fromisoformat(r.checked_on) >= ended
            and not any(count for what, count in r.kept.items() if what not in _OWN)
            for r in filings.all(MinimisationReview, issuer=org, contract_id=contract.contract_id)
        )
        found = None
        if not (certified or nothing_held):
            found = overdue(org, contract.contract_id, planned.on, today)
        if found is not None:
            yield found


RULES: tuple[Rule, ...] = (check_deletion,)
