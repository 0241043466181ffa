"""What ends within thirty days 到期提醒: qualifications, assessments, declarations, consents, the contract itself (white paper A, 3.3)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from hefu.domain.filings import Filing
from hefu.domain.filings.admission import AdmissionDossier
from hefu.domain.rules.matter import Matter
from hefu.domain.rules.say import warn
from hefu.domain.verdict import Finding

SOON = timedelta(days=30)
_ABOUT = ("data_set_id", "stage", "entrusted", "component", "subject", "scope")
"""What two filings of one kind may be about; a later one about the same takes the earlier one's place."""


def due_soon(matter: Matter) -> Iterator[Finding]:
    """A warning for everything of the contract's parties that ends today or in the next thirty days."""
    parties = [party.org_id for party in matter.contract.parties]
    newest: dict[tuple[str, ...], Filing] = {}
    for filing in matter.filings:
        if filing.issuer in parties:
            about = (str(getattr(filing, name, "")) for name in _ABOUT)
            newest[filing.kind, filing.issuer, filing.contract_id or "", *about] = filing
    for filing in newest.values():
        if filing.valid_until is not None:
            yield from _soon(matter, filing.issuer, filing.kind, filing.valid_until)
    for org in parties:
        held = {}
        if org in matter.applications:
            held = {q.number: q for q in matter.applications[org].qualifications}
        dossier = matter.filings.newest(AdmissionDossier, matter.today, issuer=org)
        if dossier is not None:
            held |= {q.number: q for q in dossier.qualifications}
            yield from _soon(matter, org, "mlps_certificate", dossier.mlps_expires_on)
        for qualification in held.values():
            yield from _soon(matter, org, f"qualification {qualification.name}", qualification.expires_on)
    for data_set in matter.contract.data_sets:
        for consent in data_set.consents:
            if consent.expires_on is not None:
                what = f"consent {data_set.data_set_id} {consent.notice_version}"
                yield from _soon(matter, data_set.owner, what, consent.expires_on)
    contract_ends = matter.contract.limits.valid_until.date().isoformat()
    yield from _soon(matter, matter.contract.platform.operator, "contract", contract_ends)


def _soon(matter: Matter, party: str, what: str, until: str) -> Iterator[Finding]:
    if not matter.today <= date.fromisoformat(until) <= matter.today + SOON:
        return
    yield warn(
        "due_soon",
        "K3",
        f"{party} 的“{what}”将于 {until} 到期",
        f"{what} of {party} ends on {until}",
        party=party,
        seen=until,
        expected=f"after {matter.today + SOON}",
        mend_zh="请在到期前更新并重新备案",
        mend_en="renew it and file it anew before that day",
        source="WP-A 3.3",
        law=("pipl-51",),
    )
