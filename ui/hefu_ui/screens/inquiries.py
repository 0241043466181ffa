"""核查通知 and 调阅记录: what the regulator asks, what the organisation answers, what is overdue."""

from __future__ import annotations

import streamlit as st
from hefu.domain.identity import Role
from hefu.node.console_models import InquiryView, Note, RecordView

from hefu_ui.look.formats import moment, org_name, short, when
from hefu_ui.look.html import Html, chip, esc, facts, mono, table
from hefu_ui.look.page import ask_reason, card, empty, page_title
from hefu_ui.look.states import state_chip
from hefu_ui.signed_in import is_any, may, me, node
from hefu_ui.words import named, t


def show() -> None:
    page_title(t("page.inquiries"), t("inquiries.about"))
    inquiries, records = node().inquiries(), node().records()
    first, second = st.tabs(
        [
            f":material/quick_reference_all: {t('inquiries.list')} ({len(inquiries)})",
            f":material/manage_search: {t('records.list')} ({len(records)})",
        ]
    )
    with first:
        if not inquiries:
            with card("no_inquiries"):
                empty("mark_email_read", t("inquiries.none"), t("inquiries.none_next"))
        for inquiry in sorted(inquiries, key=lambda i: (i.state == "closed", i.due_at)):
            _inquiry(inquiry)
    with second, card("records"):
        _records(records)


def _inquiry(i: InquiryView) -> None:
    with card(
        f"inquiry_{i.inquiry_id}",
        t("inquiries.to", org=org_name(i.org_id), day=i.business_date),
        "quick_reference_all",
        short(i.inquiry_id),
    ):
        rows = Html(
            "".join(chip(f"#{row}", "blue") for row in i.rows[:24]) + (esc("…") if len(i.rows) > 24 else "")
        )
        facts(
            [
                (t("common.state"), state_chip("inquiry", i.state)),
                (t("inquiries.sent_at"), when(i.sent_at)),
                (t("inquiries.due_at"), when(i.due_at)),
                (t("inquiries.rows"), rows if i.rows else t("common.none")),
            ]
        )
        facts([(t("inquiries.question"), i.question)])
        if i.reply:
            facts([(t("inquiries.reply_at", at=when(i.replied_at)), i.reply)])
        if i.closing_note:
            facts([(t("inquiries.closed_at", at=when(i.closed_at)), i.closing_note)])
        if i.state in ("sent", "overdue") and i.org_id == me().org_id and may("approver"):
            ask_reason(
                t("inquiries.reply"), f"reply_{i.inquiry_id}", "reply",
                lambda text: node().reply_inquiry(i.inquiry_id, Note(text=text)), primary=True,
            )  # fmt: skip
        if i.state != "closed" and is_any(Role.REGULATOR) and may("preparer", "approver"):
            ask_reason(
                t("inquiries.close"), f"close_{i.inquiry_id}", "task_alt",
                lambda text: node().close_inquiry(i.inquiry_id, Note(text=text)), primary=i.state == "replied",
            )  # fmt: skip


def _records(records: list[RecordView]) -> None:
    if not records:
        empty("manage_search", t("records.none"), t("records.none_next"))
        return
    table(
        [t("records.row"), t("common.state"), t("records.asked_at"), t("inquiries.due_at"), t("common.reason"), t("records.record")],
        [
            [Html(f"<b>{esc(org_name(r.owner))} #{r.row}</b><br>{mono(r.job_id)}"), state_chip("record", r.state), moment(r.asked_at),
             moment(r.due_at), r.reason, _record(r)]
            for r in sorted(records, key=lambda r: r.asked_at, reverse=True)
        ],
    )  # fmt: skip


def _record(r: RecordView) -> Html:
    """The record behind the row, as its owner sent it."""
    lines = [
        f'<span class="hf-nw">{esc(named("field", k))}: <b>{esc(v)}</b></span>' for k, v in r.record.items()
    ]
    return Html("<br>".join(lines)) if lines else esc("—")
