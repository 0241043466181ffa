"""模型: who owns which part, under which licences, who may use it now (K6; white paper A, 3.6)."""

from __future__ import annotations

from hefu.node.compliance_models import ModelView

from hefu_ui.look.formats import count, org_name, short
from hefu_ui.look.html import Html, chip, esc, join, mono, table
from hefu_ui.look.page import card, empty, page_title
from hefu_ui.look.shares import draw_shares
from hefu_ui.signed_in import node
from hefu_ui.words import t


def show() -> None:
    page_title(t("page.models"), t("models.about"))
    models = node().compliance.models()
    if not models:
        with card("models"):
            empty("model_training", t("models.none"), t("models.none_next"))
    for model in models:
        with card(f"model_{model.model_id}", model.model_id, "model_training", model.contract_id or ""):
            draw_shares(model.ownership)
            _users(model)
            _licences(model)
    with card("licences", t("models.what"), "license"):
        table(
            [t("models.licence"), t("models.who")],
            [[t(f"models.{kind}"), t(f"models.{kind}_text")] for kind in ("exclusive", "sole", "ordinary")],
        )


def _users(model: ModelView) -> None:
    table(
        [t("models.may_use"), t("common.roles"), t("models.rights"), t("models.holds_part")],
        [
            [Html(f"<b>{esc(org_name(u.org_id))}</b>"), t(f"models.standing_{u.standing}"),
             join([chip(t(f"models.{p}"), "blue") for p in u.purposes], ""),
             mono(short(model.parts[u.org_id]), model.parts[u.org_id]) if u.org_id in model.parts else "—"]
            for u in model.users
        ]
        or [[t("models.nobody"), "—", "—", "—"]],
    )  # fmt: skip


def _licences(model: ModelView) -> None:
    rows: list[list[object]] = [
        [org_name(g.licensee), chip(t(f"models.{g.licence}"), "violet"),
         join([chip(t(f"models.{right}"), "blue") for right, given in (("sublicense", g.may_sublicense), ("customise", g.may_customise)) if given], ""),
         g.territory, g.valid_until or "—", count(g.max_predictions)]
        for g in model.licences
    ]  # fmt: skip
    table(
        [t("models.licensee"), t("models.licence"), t("models.rights"), t("models.territory"), t("filings.term"), t("models.quota")],
        rows or [[t("models.no_licence"), "—", "—", "—", "—", "—"]],
    )  # fmt: skip
