"""模型: nothing can be trained yet; says what will stand here."""

from __future__ import annotations

from hefu_ui.look.html import table
from hefu_ui.look.page import card, empty, page_title
from hefu_ui.words import t


def show() -> None:
    page_title(t("page.models"), t("models.about"))
    with card("models"):
        empty("model_training", t("models.none"), t("models.none_next"))
    with card("licences", t("models.what"), "license"):
        table(
            [t("models.licence"), t("models.who")],
            [[t(f"models.{kind}"), t(f"models.{kind}_text")] for kind in ("exclusive", "sole", "ordinary")],
        )
