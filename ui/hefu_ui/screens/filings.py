"""备案文件: what waits for a second person, what is filed, and the forms."""

from __future__ import annotations

import streamlit as st
from hefu.domain.identity import Role
from hefu.node.compliance_models import FilingDraftView, PrefilledForm
from hefu.node.console_models import User

from hefu_ui.look.filing import draw_document, draw_filing_list
from hefu_ui.look.filing_form import draw_form, draw_hasher
from hefu_ui.look.formats import org_names, when
from hefu_ui.look.html import Html, chip, esc, mono
from hefu_ui.look.page import ask_reason, card, do, empty, page_title
from hefu_ui.signed_in import may, me, node
from hefu_ui.words import t

_OWN = ("admission_dossier", "third_party_assessment", "component_review")
_OF_CONTRACT = (
    "impact_assessment", "source_declaration", "stage_judgement", "risk_notice_acknowledgement", "supervision",
    "milestone_confirmation", "use_authorisation", "incident_report", "complaint_outcome", "subject_request_outcome", "legal_hold",
)  # fmt: skip
_AUDITOR = (
    "third_party_assessment", "component_review", "stage_judgement", "admission_dossier", "risk_notice_acknowledgement",
    "milestone_confirmation", "complaint_outcome",
)  # fmt: skip
"""A third party's own opinions, and answers to complaints where the contract makes it the contact for them."""


def forms_for(user: User) -> tuple[str, ...]:
    """The kinds of form that this person's organisation may fill in; the node refuses the others too."""
    if not {"preparer", "approver"} & set(user.roles):
        return ()
    if set(user.org_roles) == {Role.AUDITOR}:
        return _AUDITOR
    return tuple(
        k for k in (*_OF_CONTRACT, *_OWN) if k != "third_party_assessment" or Role.AUDITOR in user.org_roles
    )


def show() -> None:
    page_title(t("page.filings"), t("filings.about"))
    drafts = node().compliance.drafts()
    kinds = forms_for(me().user)
    if wanted := st.query_params.get("new"):
        if st.button(t("filings.back"), icon=":material/arrow_back:", type="tertiary"):
            st.query_params.clear()
            st.rerun()
        if wanted in kinds:
            with card("form", t(f"filing.{wanted}"), "edit_document"):
                _form(wanted)
        return
    names = [
        f":material/approval: {t('filings.to_approve')} ({len(drafts)})",
        f":material/verified: {t('filings.filed')}",
    ]
    tabs = st.tabs([*names, f":material/edit_document: {t('filings.new')}"] if kinds else names)
    with tabs[0]:
        if not drafts:
            with card("no_drafts"):
                empty("task_alt", t("filings.no_drafts"), t("filings.no_drafts_next"))
        for draft in drafts:
            _draft(draft)
    with tabs[1], card("filed"):
        _filed()
    if kinds:
        with tabs[2], card("new"):
            kind = st.selectbox(
                t("filings.kind"), kinds, format_func=lambda k: t(f"filing.{k}"), key="new_kind"
            )
            _form(kind)


def _filed() -> None:
    filed = node().compliance.filings()
    if not filed:
        empty("folder_open", t("filings.none"), t("filings.none_next"))
        return
    kinds = list(dict.fromkeys(f.kind for f in filed))
    chosen = st.pills(
        t("filings.kind"),
        kinds,
        selection_mode="multi",
        format_func=lambda k: t(f"filing.{k}"),
        key="filed_kinds",
    )
    draw_filing_list([f for f in filed if not chosen or f.kind in chosen][:200])


def _draft(d: FilingDraftView) -> None:
    note = t("filings.prepared", who=d.prepared_by, at=when(d.prepared_at))
    with card(f"draft_{d.draft_id}", t(f"filing.{d.kind}"), "approval", note):
        st.html(
            f"{chip(d.contract_id or t('filings.own'), 'blue', 'contract')} {esc(t('filings.digest'))} {mono(d.digest)}"
        )
        draw_document(d.kind, d.content, skip=("contract_id",))
        with st.expander(t("filings.exact"), icon=":material/data_object:"):
            st.caption(t("filings.exact_note"))
            st.code(d.digest, language=None)
            st.code(d.canonical, language="json", wrap_lines=True)
        if not may("approver"):
            st.caption(t("filings.approver_only"))
        elif not d.may_approve:
            st.info(t("filings.same_person"), icon=":material/group:")
        else:
            with st.container(horizontal=True):
                if st.button(
                    t("filings.approve"), key=f"approve_{d.draft_id}", type="primary", icon=":material/draw:"
                ):
                    do(lambda: node().compliance.approve(d.draft_id, d.digest), t("filings.approved"))
                ask_reason(
                    t("filings.reject"), f"reject_{d.draft_id}", "undo",
                    lambda reason: node().compliance.reject(d.draft_id, reason),
                )  # fmt: skip


def _form(kind: str) -> None:
    contract_id: str | None = None
    parties = [p.org_id for p in node().participants() if p.state == "admitted"]
    if kind not in _OWN:
        ids = list(dict.fromkeys(c.contract_id for c in node().contracts()))
        if not ids:
            empty("contract_edit", t("cockpit.none"), t("cockpit.none_next"))
            return
        asked = st.query_params.get("contract", "")
        contract_id = st.selectbox(
            t("filings.contract"), ids, ids.index(asked) if asked in ids else 0, key=f"contract_{kind}"
        )
    form = _form_about(kind, contract_id)
    st.html(Html(f'<p class="hf-lead">{esc(t(f"filing_about.{kind}"))}</p>'))
    deeds = st.session_state.get("deeds", 0)
    content = draw_form(form, parties, lambda name: f"{kind}_{contract_id}_{name}_{deeds}")
    draw_hasher()
    if kind == "incident_report":
        view = next(c for c in node().contracts() if c.contract_id == contract_id)
        others = [p.org_id for p in node().contract(view.digest).document.parties if p.org_id != me().org_id]
        st.info(t("filings.routing", parties=org_names(others)), icon=":material/route:")
    if st.button(t("filings.submit"), key="submit_filing", type="primary", icon=":material/send:"):
        do(lambda: node().compliance.prepare(kind, content), t("filings.submitted"))


def _form_about(kind: str, contract_id: str | None) -> PrefilledForm:
    """The form as the node fills it in: about what the link names, or about the data set or component chosen here."""
    form = node().compliance.form(kind, contract_id, st.query_params.get("subject"))
    for name in ("data_set_id", "component"):
        options = form.choices.get(name, [])
        if options:
            now = form.content.get(name)
            start = options.index(now) if now in options else 0
            chosen = st.selectbox(t(f"field_of.{name}"), options, start, key=f"{kind}_{name}_choice")
            form = node().compliance.form(kind, contract_id, chosen) if chosen != now else form
            return form.model_copy(update={"fixed": [name, *form.fixed]})
    return form
