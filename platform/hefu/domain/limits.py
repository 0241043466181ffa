"""The contract's limits 使用限制 as one rule, judged by the coordinator and again by every data holder.

Number of uses in all and per calendar period (Asia/Shanghai), volume of rows per use and in all, validity, trial mode
until acceptance 验收, authorisation of each use (white paper A, 1.1.2 and 3.3: purpose, manner, number of uses and volume are
fixed, and may be used up by nobody but those who agreed). Whoever asks gives its own counts: nobody judges by another's.
Under a statutory mandate numbers of uses and volume do not bind: supervision can't be exhausted (3.3, 4.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from hefu.domain.contract import Contract
from hefu.domain.filings import Filings
from hefu.domain.filings.reviews import MilestoneConfirmation, UseAuthorisation
from hefu.domain.periods import Period, period_start
from hefu.domain.rules.say import note
from hefu.domain.terms import MilestoneKind
from hefu.domain.verdict import Finding, Severity

_SOURCE = "WP-A 3.3"


@dataclass(frozen=True)
class Spent:
    """What was used so far by one party's own count, over all versions of the contract, without the use in question.

    periods  uses since the calendar period that holds the moment began
    """

    uses: int = 0
    rows: int = 0
    periods: Mapping[Period, int] = field(default_factory=dict)


def tally(uses: Iterable[tuple[datetime, int]], contract: Contract, moment: datetime) -> Spent:
    """Counts of uses, each given by when it was consumed and how many rows went into it."""
    counted = list(uses)
    starts = {limit.period: period_start(limit.period, moment) for limit in contract.limits.per_period}
    return Spent(
        uses=len(counted),
        rows=sum(rows for _, rows in counted),
        periods={period: sum(at >= start for at, _ in counted) for period, start in starts.items()},
    )


def trial_over(contract: Contract, filings: Filings, today: date) -> bool:
    """Whether acceptance 验收 is confirmed by everybody whom the contract names for it. Without such a milestone: never."""
    named = [m for m in contract.milestones if m.kind is MilestoneKind.ACCEPTANCE]
    if not named:
        return False
    for party in {org for milestone in named for org in milestone.confirmed_by}:
        said = [
            one
            for one in filings.all(MilestoneConfirmation, issuer=party, contract_id=contract.contract_id)
            if one.milestone is MilestoneKind.ACCEPTANCE and one.in_force(today)
        ]
        if not said or not said[-1].passed:
            return False
    return True


def check_limits(
    contract: Contract,
    spent: Spent,
    moment: datetime,
    *,
    rows: int | None,
    accepted: bool,
    party: str | None = None,
    counted: bool = False,
) -> list[Finding]:
    """What speaks against one more use: each finding names the limit, what was seen, by whose count, and how to mend it.

    spent     the judging party's own count, without this use
    rows      rows of this use; None while nobody knows them yet
    accepted  acceptance is confirmed: the trial's limits bind no longer
    party     whose count it is; None for the coordinator's
    counted   this use was counted already (a retry on the same input): numbers of uses are not asked again
    """
    limits, found = contract.limits, []
    if not limits.valid_from <= moment <= limits.valid_until:
        found.append(
            _block(
                "contract_expired",
                party,
                "合约不在有效期内",
                "the contract is outside its validity",
                moment.isoformat(),
                f"{limits.valid_from.isoformat()} – {limits.valid_until.isoformat()}",
            )
        )
    if contract.mandate is None:
        found += [] if counted else _uses(contract, spent, party)
        found += _volume(limits.max_rows, limits.max_rows_total, spent.rows, rows, party)
    else:
        found.append(
            note(
                "mandate_unlimited",
                "K10",
                "法定监管：使用次数和数据量上限不适用",
                "statutory mandate: limits on number of uses and volume do not bind",
                party=party,
                seen=str(spent.uses),
                expected=contract.mandate.document_number,
                source=_SOURCE,
            )
        )
    if contract.trial is not None and not accepted:
        found += _trial(contract, spent, rows, party, counted)
    return found


def _uses(contract: Contract, spent: Spent, party: str | None) -> list[Finding]:
    limits = contract.limits
    found = []
    if spent.uses >= limits.max_uses:
        found.append(
            _block(
                "uses_exhausted",
                party,
                f"使用次数已用尽（{spent.uses}/{limits.max_uses}）",
                f"no uses left ({spent.uses}/{limits.max_uses})",
                str(spent.uses),
                str(limits.max_uses),
                "续签提高使用次数的新版本",
                "sign a new version with more uses",
            )
        )
    for limit in limits.per_period:
        used = spent.periods.get(limit.period, 0)
        if used >= limit.max_uses:
            found.append(
                _block(
                    "uses_exhausted",
                    party,
                    f"本{_PERIODS[limit.period]}使用次数已用尽（{used}/{limit.max_uses}）",
                    f"no uses left this {limit.period} ({used}/{limit.max_uses})",
                    str(used),
                    f"{limit.max_uses} per {limit.period}",
                    f"等待下一{_PERIODS[limit.period]}，或续签新版本",
                    f"wait for the next {limit.period}, or sign a new version",
                )
            )
    return found


def _volume(each: int, total: int | None, before: int, rows: int | None, party: str | None) -> list[Finding]:
    if rows is None:
        return []
    found = []
    if rows > each:
        found.append(
            _block(
                "rows_exceeded",
                party,
                f"数据量 {rows} 行超过合约每次上限 {each} 行",
                f"{rows} rows exceed the contract's volume of {each} rows a use",
                str(rows),
                str(each),
                "减少数据量，或续签提高上限的新版本",
                "use fewer rows, or sign a new version with a higher limit",
            )
        )
    if total is not None and before + rows > total:
        found.append(
            _block(
                "rows_total_exceeded",
                party,
                f"累计数据量 {before + rows} 行超过合约总上限 {total} 行",
                f"{before + rows} rows in all exceed the contract's total volume of {total} rows",
                str(before + rows),
                str(total),
                "续签提高总上限的新版本",
                "sign a new version with a higher total",
            )
        )
    return found


def _trial(
    contract: Contract, spent: Spent, rows: int | None, party: str | None, counted: bool
) -> list[Finding]:
    trial = contract.trial
    if trial is None:
        return []
    mend = ("请约定各方确认验收", "let the parties that the contract names confirm acceptance")
    found = []
    if not counted and spent.uses >= trial.max_uses:
        found.append(
            _block(
                "trial_uses_exhausted",
                party,
                f"试运行次数已用尽（{spent.uses}/{trial.max_uses}），验收前不再使用",
                f"no trial uses left ({spent.uses}/{trial.max_uses}) before acceptance",
                str(spent.uses),
                str(trial.max_uses),
                *mend,
            )
        )
    if rows is not None and rows > trial.max_rows:
        found.append(
            _block(
                "trial_rows_exceeded",
                party,
                f"数据量 {rows} 行超过试运行上限 {trial.max_rows} 行",
                f"{rows} rows exceed the {trial.max_rows} rows that a trial may use before acceptance",
                str(rows),
                str(trial.max_rows),
                *mend,
            )
        )
    return found


_PERIODS: Mapping[Period, str] = {"day": "日", "week": "周", "month": "月", "year": "年"}


def check_authorisation(
    contract: Contract,
    filings: Filings,
    *,
    job: str,
    business_date: str,
    rows: Mapping[str, int | None],
    today: date,
) -> list[Finding]:
    """Where each use is authorised by itself (授权 per use): whom the job still waits for.

    rows  the holders asked about, and the rows of each (None while they are not known)

    An authorisation is for one contract version, one job and one business date. The supervised parties of a statutory
    mandate authorise by having signed: they can't hold supervision up.
    """
    if contract.limits.authorisation != "per_use":
        return []
    supervised = contract.mandate.supervised if contract.mandate is not None else ()
    found = []
    for holder, own in rows.items():
        if holder in supervised:
            continue
        given = [
            one
            for one in filings.all(UseAuthorisation, issuer=holder)
            if (one.contract, one.job, one.business_date) == (contract.digest, job, business_date)
            and one.in_force(today)
        ]
        most = max((one.max_rows for one in given), default=None)
        if most is not None and (own is None or own <= most):
            continue
        found.append(
            Finding(
                rule="use_not_authorised",
                severity=Severity.WAIT,
                party=holder,
                point="K10",
                source="WP-A 1.1.2",
                seen="" if most is None else f"≤ {most}",
                expected=f"{job} {business_date}" + ("" if own is None else f" ≥ {own}"),
                message_zh=f"等待 {holder} 对任务 {job} 的本次使用授权"
                + ("" if most is None else f"：已授权 {most} 行，本次 {own} 行"),
                message_en=f"waiting for {holder} to authorise this use by job {job}"
                + ("" if most is None else f": {most} rows are authorised, it has {own}"),
                mend_zh=f"请 {holder} 提交本次使用授权，任务将自动继续",
                mend_en=f"let {holder} file the authorisation of this use; the job then goes on by itself",
            )
        )
    return found


def _block(
    rule: str,
    party: str | None,
    zh: str,
    en: str,
    seen: str,
    expected: str,
    mend_zh: str = "续签新版本",
    mend_en: str = "sign a new version",
) -> Finding:
    return Finding(
        rule=rule,
        severity=Severity.BLOCK,
        party=party,
        message_zh=f"{party}：{zh}" if party else zh,
        message_en=f"{en} at {party}" if party else en,
        mend_zh=mend_zh,
        mend_en=mend_en,
        seen=seen,
        expected=expected,
        point="K10",
        source=_SOURCE,
    )
