"""K13, data subjects' rights 个人信息主体权利: who acts, by when, and what a request means for later inputs (white paper A, 3.3)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Literal, NamedTuple

from hefu.domain.contract import Contract
from hefu.domain.dataset import LegalBasis
from hefu.domain.filings.events import SubjectRequest, SubjectRequestOutcome, SubjectRight
from hefu.domain.rules.matter import Matter, Rule
from hefu.domain.rules.say import block, warn
from hefu.domain.verdict import Finding

DEFAULT_REPLY_DAYS = 15


class Duty(NamedTuple):
    """Who acts on a right: the responsible party alone or every holder; the law; whether later inputs leave the subject out."""

    acts: Literal["responsible", "holders"]
    law: str
    excludes: bool


DUTIES: dict[SubjectRight, Duty] = {
    "know": Duty("responsible", "pipl-44", False),
    "query": Duty("holders", "pipl-45", False),
    "copy": Duty("holders", "pipl-45", False),
    "correct": Duty("holders", "pipl-46", False),
    "supplement": Duty("holders", "pipl-46", False),
    "delete": Duty("holders", "pipl-47", True),
    "restrict": Duty("holders", "pipl-44", True),
    "refuse": Duty("holders", "pipl-44", True),
    "withdraw": Duty("holders", "pipl-15", True),
}


def deadline(contract: Contract, taken_on: date) -> date:
    """Last day to answer: the contract's reply days, else 15 (white paper A, 3.3, second point; PIPL art. 50)."""
    terms = contract.data_subjects
    return taken_on + timedelta(days=DEFAULT_REPLY_DAYS if terms is None else terms.reply_days)


def effect_on_input(right: SubjectRight, basis: LegalBasis = LegalBasis.CONSENT) -> bool:
    """Whether later inputs leave the subject out (white paper A, 3.3; PIPL 15, 44, 47).

    Withdrawal ends consent and nothing else; where a statutory duty or another law asks for the processing, the rights to
    refuse, restrict and delete do not stop it.
    """
    if right == "withdraw":
        return basis is LegalBasis.CONSENT
    return DUTIES[right].excludes and basis not in (LegalBasis.STATUTORY_DUTY, LegalBasis.OTHER_LAW)


def check_subject_requests(matter: Matter) -> Iterator[Finding]:
    """Requests are applied before a holder's data enter, and answered in time (white paper A, 3.3, second point).

    An overdue answer blocks the jobs into which the responsible party itself puts data, else it warns; under a
    statutory mandate it only warns, so that a supervised party cannot stop the supervision by not answering.
    """
    contract = matter.contract
    outcomes = matter.filings.all(SubjectRequestOutcome)
    for request in matter.filings.all(SubjectRequest, contract_id=contract.contract_id):
        done = {o.issuer: o for o in outcomes if o.request == request.digest and _counts(o)}
        for holder in request.holders:
            bases = {d.legal_basis for d in contract.data_sets if d.owner == holder}
            applied = holder in done and (request.right != "withdraw" or done[holder].outcome != "refused")
            if not applied and any(effect_on_input(request.right, basis) for basis in bases):
                yield block(
                    "subject_request_not_applied",
                    "K13",
                    f"{holder} 尚未落实个人信息主体的请求（{request.right}），其数据不得进入计算",
                    f"{holder} has not applied a data subject's request ({request.right}): its data may not enter",
                    **_rest(request, holder, f"no outcome from {holder}", "applied before the next input"),
                )
        allowed = deadline(contract, request.issued_at.date())
        due = min(allowed, date.fromisoformat(request.due_on))
        acting = (
            {request.responsible}
            if DUTIES[request.right].acts == "responsible"
            else {*request.holders, request.responsible}
        )
        late = sorted(acting - set(done))
        if late and due < matter.today:
            own = request.responsible in late and request.responsible in contract.owners()
            say = block if own and contract.mandate is None else warn
            yield say(
                "subject_request_overdue",
                "K13",
                f"个人信息主体的请求（{request.right}）逾期未答复：{'、'.join(late)}",
                f"a data subject's request ({request.right}) is overdue: {', '.join(late)}",
                **_rest(request, request.responsible, f"due {due}", "an outcome by the due date"),
            )


def _counts(outcome: SubjectRequestOutcome) -> bool:
    """A refusal gives its reason (PIPL art. 50)."""
    return outcome.outcome != "refused" or bool(outcome.reason.strip())


def _rest(request: SubjectRequest, party: str, seen: str, expected: str) -> dict[str, Any]:
    return {
        "party": party,
        "seen": f"request {request.digest[:16]}, {seen}",
        "expected": expected,
        "mend_zh": "请处理该请求并备案结果；拒绝的应当说明理由",
        "mend_en": "act on the request and file the outcome; a refusal gives its reason",
        "source": "WP-A 3.3",
        "law": (DUTIES[request.right].law, "pipl-50"),
    }


RULES: tuple[Rule, ...] = (check_subject_requests,)
