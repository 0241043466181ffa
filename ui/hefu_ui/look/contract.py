"""A contract as people read it: signatures first, then its clauses in sections, its exact bytes last."""

from __future__ import annotations

import streamlit as st
from hefu.domain.contract import Contract
from hefu.domain.terms import Consent
from hefu.node.console_models import ContractView

from hefu_ui.look.formats import count, org_name, org_names, short, when
from hefu_ui.look.html import Html, chip, esc, facts, mono, table
from hefu_ui.look.page import card
from hefu_ui.look.states import state_chip
from hefu_ui.words import CATALOGUE, named, pick, t


def draw_contract(view: ContractView) -> None:
    """Draw all sections."""
    if view.findings:
        _findings(view)
    if view.signatures:
        _signatures(view)
    draw_clauses(view.document, view.canonical)


def draw_clauses(d: Contract, canonical: str) -> None:
    """The clauses in sections, and the exact bytes."""
    _parties(d)
    _data(d)
    _computation(d)
    _limits(d)
    _duties(d)
    with st.expander(t("contract.canonical"), icon=":material/data_object:"):
        st.caption(t("contract.canonical_note"))
        st.code(canonical, language="json", wrap_lines=True)
        st.download_button(
            t("do.download"),
            canonical,
            file_name=f"{d.contract_id}-v{d.version}.json",
            on_click="ignore",
            icon=":material/download:",
        )


def _findings(view: ContractView) -> None:
    with card("findings", t("contract.findings"), "rule"):
        rows = [
            [
                state_chip("severity", f.severity),
                f.rule,
                pick(f.message_zh, f.message_en),
                f.seen,
                pick(f.mend_zh, f.mend_en),
            ]
            for verdict in view.findings
            for f in verdict.findings
        ]
        if rows:
            table(
                [
                    t("contract.severity"),
                    t("contract.rule"),
                    t("contract.finding"),
                    t("finding.seen"),
                    t("error.mend"),
                ],
                rows,
            )
        else:
            st.success(t("contract.no_findings"), icon=":material/check_circle:")


def _signatures(view: ContractView) -> None:
    signed = sum(1 for s in view.signatures if s.state == "signed")
    with card(
        "signatures",
        t("contract.signatures"),
        "draw",
        t("contract.signed_of", n=signed, all=len(view.signatures)),
    ):
        table(
            [t("common.party"), t("common.state"), t("common.time"), t("common.reason")],
            [
                [org_name(s.org_id), state_chip("signature", s.state), when(s.at, seconds=True), s.reason]
                for s in view.signatures
            ],
        )


def _parties(d: Contract) -> None:
    with card("parties", t("contract.parties"), "groups"):
        facts([(t("contract.purpose"), d.purpose)])
        table(
            [t("common.party"), t("common.roles"), t("contract.standing"), t("contract.application"), t("contract.identity_key")],
            [
                [Html(f"<b>{esc(pick(p.legal_name, p.legal_name_en))}</b><br><small>{esc(p.org_id)}</small>"),
                 Html("".join(chip(named("role", r), "blue") for r in p.roles)), named("legal", p.legal_standing),
                 mono(short(p.application), p.application), mono(short(p.identity_key), p.identity_key)]
                for p in d.parties
            ],
        )  # fmt: skip


def _data(d: Contract) -> None:
    with card("data", t("contract.data"), "database"):
        for s in d.data_sets:
            st.html(
                f"<b>{esc(org_name(s.owner))}</b> · {esc(named('data_kind', s.kind))} {mono(s.data_set_id)} "
                f"{chip(named('basis', s.legal_basis), 'violet')} {chip(named('source', s.source_kind))}"
            )
            table(
                [t("data.field"), t("data.type"), t("data.identifier"), t("data.sensitive"), t("data.grade"), t("contract.necessity")],
                [
                    [mono(f.name), named("field_type", f.type), named("identifier", f.identifier_class), named("sensitive", f.sensitive),
                     chip(f.grade, {"C1": "gray", "C2": "orange", "C3": "red"}[f.grade]), f.necessity]
                    for f in s.fields
                ],
            )  # fmt: skip
            if s.row_filter:
                st.html(f"<small>{esc(t('contract.row_filter'))}</small> {mono(s.row_filter)}")
            if s.subject_field:
                st.html(f"<small>{esc(t('contract.subject_field'))}</small> {mono(s.subject_field)}")
            if s.legal_basis_note:
                st.html(f"<small>{esc(t('contract.basis_note'))}</small> {esc(s.legal_basis_note)}")
            if s.consents:
                _consents(s.consents)


def _consents(links: tuple[Consent, ...]) -> None:
    """The consent chain 授权链, one line each."""
    st.html(f'<h4 class="hf-sub">{esc(t("contract.consents"))}</h4>')
    table(
        [t("contract.collector"), t("contract.notice"), t("contract.consent_kinds"), t("contract.covers"), t("contract.operations"), t("contract.term")],
        [
            [org_name(link.collector), Html(f"{esc(link.notice_version)}<br>{mono(short(link.notice_digest), link.notice_digest)}"),
             Html("".join(chip(named("consent_kind", k), "violet") for k in link.kinds)), org_names(link.participants),
             t("common.comma").join(named("operation", o) for o in link.operations), Html(f"{esc(link.obtained_on)} –<br>{esc(link.expires_on or '…')}")]
            for link in links
        ],
    )  # fmt: skip


def _computation(d: Contract) -> None:
    c = d.computation
    with card("computation", t("contract.computation"), "hub"):
        facts(
            [
                (t("contract.technique"), named("technique", c.technique)),
                *((f"N{i}", org_name(org)) for i, org in enumerate(c.compute_parties)),
            ]
        )
        for step in c.steps:
            st.html(
                f"<b>{esc(step.step_id)}</b> · {esc(step.component)} {mono(short(step.code_digest), step.code_digest)} {chip(step.engine_version)}"
            )
            table(
                [t("contract.parameter"), t("contract.value")],
                [[_parameter(k), _value(k, v)] for k, v in step.parameters.items()],
            )
        for out in d.outputs:
            facts(
                [
                    (t("contract.recipient"), org_name(out.recipient)),
                    (t("contract.form"), named("form", out.form)),
                    (t("contract.reviewers"), org_names(out.reviewers)),
                    (t("contract.min_group"), out.min_group_size or t("common.none")),
                    (t("contract.bound"), out.purpose_bound or t("common.none")),
                    (t("contract.no_reidentification"), t("common.yes")),
                ]
            )


def _parameter(name: str) -> str:
    return t(f"parameter.{name}") if f"parameter.{name}" in CATALOGUE else name


def _value(name: str, value: object) -> str:
    kind = {"match_keys": "match_key", "compare": "compare", "design": "design"}.get(name, "yes_no")
    if isinstance(value, list | tuple):
        return ", ".join(_value(name, v) for v in value) or t("common.none")
    if isinstance(value, dict):
        return "; ".join(f"{k} → {_value(name, v)}" for k, v in value.items()) or t("common.none")
    if isinstance(value, bool):
        return t("common.yes") if value else t("common.no")
    return (
        org_name(value)
        if isinstance(value, str) and name in ("institutions", "banks")
        else named(kind, str(value))
    )


def _limits(d: Contract) -> None:
    lim, sch = d.limits, d.schedule
    with card("limits", t("contract.limits"), "speed"):
        pairs: list[tuple[str, object]] = [
            (t("contract.max_uses"), count(lim.max_uses)),
            *(
                (t(f"contract.max_uses_per_{limit.period}"), count(limit.max_uses))
                for limit in lim.per_period
            ),
            (t("contract.max_rows"), count(lim.max_rows)),
            (t("contract.authorisation"), named("authorisation", lim.authorisation)),
            (t("contract.valid_from"), when(lim.valid_from)),
            (t("contract.valid_until"), when(lim.valid_until)),
            (t("contract.retention"), t("common.days", n=d.retention_days)),
            (t("contract.checkpoint_age"), t("common.minutes", n=lim.checkpoint_max_age_seconds // 60)),
        ]
        if d.trial:
            rows, uses = count(d.trial.max_rows), count(d.trial.max_uses)
            pairs.append((t("contract.trial"), t("contract.trial_limits", rows=rows, uses=uses)))
        if sch:
            pairs += [
                (t("contract.cron"), Html(f"{mono(sch.cron)} {esc(sch.time_zone)}")),
                (t("contract.run_days"), named("run_days", sch.run_days)),
                (t("contract.first_day"), sch.first_day),
                (t("contract.window"), t("common.minutes", n=sch.window_minutes)),
                (t("contract.cutoff"), t("common.minutes", n=sch.cutoff_minutes)),
            ]
        facts(pairs)


def _duties(d: Contract) -> None:
    u = d.duties
    with card("duties", t("contract.duties"), "gavel"):
        facts(
            [
                (t("contract.subject_contact"), org_name(u.data_subject_contact)),
                (t("contract.incident_contact"), org_name(u.incident_contact)),
                (t("contract.complaints_contact"), org_name(u.complaints_contact)),
                (t("contract.record_reply"), t("common.hours", n=u.record_reply_hours)),
                (t("contract.mandate"), d.mandate.document_number if d.mandate else t("common.none")),
                (
                    t("contract.model_terms"),
                    t(f"models.{d.model_terms.licence}") if d.model_terms else t("contract.no_model"),
                ),
                (t("contract.automated"), d.automated_decision or t("common.none")),
                (
                    t("contract.milestones"),
                    t("common.comma").join(named("milestone", m.kind) for m in d.milestones)
                    or t("common.none"),
                ),
            ]
        )
        facts(
            [
                (t("contract.liability"), u.liability or t("common.none")),
                (t("contract.termination"), u.termination or t("common.none")),
                (t("contract.risk"), d.risk_notice or t("common.none")),
            ]
        )
        facts(
            [
                (t("contract.operator"), org_name(d.platform.operator)),
                (t("contract.origin"), mono(d.platform.ledger_origin)),
                (
                    t("contract.previous"),
                    mono(short(d.previous), d.previous) if d.previous else t("contract.first_version"),
                ),
            ]
        )
