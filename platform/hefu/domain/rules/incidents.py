"""Incidents and complaints 安全事件与投诉 (K3; white paper A, 3.3): open ones are seen by everybody, some close the gate."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from hefu.domain.filings.events import Complaint, ComplaintOutcome, IncidentReport
from hefu.domain.rules.matter import Matter, Rule
from hefu.domain.rules.say import block, warn
from hefu.domain.verdict import Finding


def check_incidents(matter: Matter) -> Iterator[Finding]:
    """An open incident warns; at a node that puts data in or computes it blocks until closed (white paper A, 3.3, third point).

    Under a statutory mandate a supervised owner's incident only warns: reporting one must not stop the supervision.
    A compute party's always blocks, because it holds shares of the others.
    """
    contract = matter.contract
    for report in matter.filings.all(IncidentReport, contract_id=contract.contract_id):
        if report.closed:
            continue
        computes = report.issuer in contract.computation.compute_parties
        mandated = contract.mandate is not None and report.issuer in contract.mandate.supervised
        stops = computes or (report.issuer in contract.owners() and not mandated)
        yield (block if stops else warn)(
            "incident_open",
            "K3",
            f"{report.issuer} 报告的安全事件尚未处置完毕",
            f"a security incident reported by {report.issuer} is not closed",
            party=report.issuer,
            seen=f"discovered {report.discovered_at.date()}, individuals told: {report.individuals_told}",
            expected="measures finished, the report replaced by a closed one",
            mend_zh="请完成处置并备案结案报告，按规定通知主管部门和个人",
            mend_en="finish the measures, file the closing report, notify authority and individuals as due",
            source="WP-A 3.3",
            law=("pipl-57", "dsl-29"),
        )


def check_complaints(matter: Matter) -> Iterator[Finding]:
    """A complaint without the responsible party's outcome after its due day warns (white paper A, 3.3, fifth point)."""
    outcomes = {(o.issuer, o.complaint) for o in matter.filings.all(ComplaintOutcome)}
    for complaint in matter.filings.all(Complaint, contract_id=matter.contract.contract_id):
        answered = (complaint.responsible, complaint.digest) in outcomes
        if not answered and date.fromisoformat(complaint.due_on) < matter.today:
            yield warn(
                "complaint_overdue",
                "K3",
                f"投诉逾期未处理：{complaint.responsible}",
                f"a complaint is overdue at {complaint.responsible}",
                party=complaint.responsible,
                seen=f"complaint {complaint.digest[:16]}, due {complaint.due_on}",
                expected="an outcome by the due date",
                mend_zh="请处理投诉并备案结果",
                mend_en="decide it and file the outcome",
                source="WP-A 3.3",
                law=("pipl-50",),
            )


RULES: tuple[Rule, ...] = (check_incidents, check_complaints)
