"""A form made from the model of a filing: each field's JSON schema decides its widget, the catalogue its label and help.

What the node computed (`fixed`) is shown, not asked; who signs, and when, is never a field.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import streamlit as st
from hefu.domain.filings import KINDS
from hefu.node.compliance_models import PrefilledForm

from hefu_ui.look.filing import draw_document, field_help, field_label
from hefu_ui.look.formats import SHANGHAI, org_name, today
from hefu_ui.words import named, t

NOT_ASKED = frozenset(
    {"kind", "issuer", "contract_id", "issued_at", "replaces", "prepared_by", "approved_by", "authorised_by", "acknowledged_by", "reviewer", "assessor"}
)  # fmt: skip
"""Fields that the node says: who issues, prepares and approves, when, under which contract."""

Schema = Mapping[str, Any]


def draw_form(form: PrefilledForm, parties: list[str], key: Callable[[str], str]) -> dict[str, Any]:
    """Draw the fields and answer what they hold now.

    parties  organisations to choose from, where a field names one
    key      makes the keys of the widgets
    """
    schema = KINDS[form.kind].model_json_schema()
    fixed = {name: form.content[name] for name in form.fixed if name in form.content}
    content: dict[str, Any] = {"contract_id": form.contract_id} if form.contract_id else {}
    if fixed:
        st.caption(f":material/calculate: {t('filings.computed')}")
        draw_document(form.kind, fixed)
    endless = {"valid_until"} - set(
        form.content
    )  # an event has no end: the node gives a term to what has one
    asked = [(n, f) for n, f in _ordered(schema) if n not in NOT_ASKED | endless | set(fixed)]
    pair: list[Any] = []
    for name, field in asked:
        widget = _Field(form, schema, parties, name, key)
        if widget.is_long(field):
            pair = []
            content[name] = widget.draw(field, form.content.get(name))
            continue
        pair = pair or list(st.columns(2, gap="large"))
        with pair.pop(0):
            content[name] = widget.draw(field, form.content.get(name))
    return content | fixed


def _ordered(schema: Schema) -> list[tuple[str, Schema]]:
    """The model's order, the term last: it stands first only because all filings share it."""
    fields = list(schema["properties"].items())
    return sorted(fields, key=lambda pair: pair[0] == "valid_until")


class _Field:
    """One field of a form."""

    def __init__(
        self, form: PrefilledForm, schema: Schema, parties: list[str], name: str, key: Callable[[str], str]
    ) -> None:
        self.name, self.kind, self.parties = name, form.kind, parties
        self.choices = form.choices.get(name, [])
        self.defs: Schema = schema.get("$defs", {})
        self.label, self.help = field_label(form.kind, name), field_help(form.kind, name)
        self.key = key(f"f_{name}")

    def is_long(self, field: Schema) -> bool:
        """Takes the whole width: long texts, lists, checklists, nested documents."""
        field, _ = self._resolve(field)
        return field.get("type") in ("array", "object") or field.get("maxLength", 0) >= 1000

    def draw(self, field: Schema, value: Any) -> Any:
        """The widget; answers its value as JSON has it."""
        field, optional = self._resolve(field)
        if self.choices:
            index = self.choices.index(value) if value in self.choices else 0
            return st.selectbox(
                self.label, self.choices, index, format_func=self._name, help=self.help, key=self.key
            )
        if "enum" in field:
            return self._one_of(field["enum"], value)
        if field.get("type") == "boolean":
            return st.toggle(self.label, bool(value), help=self.help, key=self.key)
        if field.get("type") == "integer":
            return self._integer(field, value)
        if field.get("type") == "array":
            return self._several(field, value)
        if field.get("type") == "object":
            return self._object(field, value, optional)
        return self._text(field, value, optional)

    def _resolve(self, field: Schema) -> tuple[Schema, bool]:
        optional = False
        if "anyOf" in field:
            optional = any(part.get("type") == "null" for part in field["anyOf"])
            field = next(part for part in field["anyOf"] if part.get("type") != "null")
        return (self.defs[field["$ref"].rsplit("/", 1)[-1]] if "$ref" in field else field), optional

    def _name(self, value: str) -> str:
        return org_name(value) if value in self.parties else named("choice", value)

    def _one_of(self, options: list[str], value: Any) -> Any:
        """Nothing is chosen in the person's place: what is not answered is refused by the node, by name."""
        index = options.index(value) if value in options else None
        if len(options) <= 4:
            chosen = None if index is None else options[index]
            return st.segmented_control(
                self.label, options, default=chosen, format_func=self._name, help=self.help, key=self.key
            )
        return st.selectbox(
            self.label, options, index, format_func=self._name, help=self.help, key=self.key,
            placeholder=t("common.choose"),
        )  # fmt: skip

    def _integer(self, field: Schema, value: Any) -> Any:
        return st.number_input(
            self.label, field.get("minimum"), field.get("maximum"), value, 1, help=self.help, key=self.key
        )

    def _several(self, field: Schema, value: Any) -> Any:
        items, _ = self._resolve(field["items"])
        if items.get("type") == "object":
            columns = list(items["properties"])
            rows = value or [dict.fromkeys(columns, "")]
            st.caption(self.label)
            edited = st.data_editor(
                {c: [row.get(c, "") for row in rows] for c in columns}, num_rows="dynamic", width="stretch", key=self.key,
                column_config={c: st.column_config.TextColumn(field_label(self.kind, c)) for c in columns},
            )  # fmt: skip
            made = [
                dict(zip(columns, row, strict=True))
                for row in zip(*(edited[c] for c in columns), strict=True)
            ]
            return [row for row in made if any(row.values())]
        options = items.get("enum") or list(dict.fromkeys([*self.parties, *(value or [])]))
        return st.multiselect(
            self.label, options, value or [], format_func=self._name, help=self.help, key=self.key
        )

    def _object(self, field: Schema, value: Any, optional: bool) -> Any:
        if "additionalProperties" in field and not field.get(
            "properties"
        ):  # a checklist: question → yes or no
            st.caption(self.label)
            return {
                question: st.checkbox(named("choice", question), bool(answer), key=f"{self.key}_{question}")
                for question, answer in (value or {}).items()
            }
        if optional and not st.toggle(self.label, value is not None, help=self.help, key=self.key):
            return None
        with st.container(border=True):
            inner = dict(value or {})
            for name, part in field["properties"].items():
                sub = _Field.__new__(_Field)
                sub.name, sub.kind, sub.parties, sub.choices, sub.defs = (
                    name,
                    self.kind,
                    self.parties,
                    [],
                    self.defs,
                )
                sub.label, sub.help = field_label(self.kind, name), field_help(self.kind, name)
                sub.key = f"{self.key}_{name}"
                inner[name] = sub.draw(part, inner.get(name))
            return inner

    def _text(self, field: Schema, value: Any, optional: bool) -> Any:
        pattern = field.get("pattern", "")
        if pattern.startswith(r"^\d{4}-"):
            return self._day(value, optional)
        if field.get("format") == "date-time":
            return self._moment(value)
        if self.parties and pattern == "^[a-z][a-z0-9-]{1,31}$":
            index = self.parties.index(value) if value in self.parties else 0
            return st.selectbox(
                self.label, self.parties, index, format_func=org_name, help=self.help, key=self.key
            )
        if field.get("maxLength", 0) >= 1000:
            said = st.text_area(self.label, value or "", help=self.help, key=self.key, max_chars=4000)
        else:
            help_text = t("help_of.digest") if "{64}" in pattern else self.help
            said = st.text_input(self.label, value or "", help=help_text, key=self.key)
        return said.strip() or (None if optional else "")

    def _day(self, value: Any, optional: bool) -> str | None:
        if optional:
            word = t("filings.with_term") if self.name == "valid_until" else self.label
            if not st.toggle(word, value is not None, key=f"{self.key}_on"):
                return None
            value = value or (today() + timedelta(days=365)).isoformat()
        start = date.fromisoformat(value) if value else None
        chosen = st.date_input(self.label, start, help=self.help, key=self.key)
        return None if chosen is None else chosen.isoformat()

    def _moment(self, value: Any) -> str:
        at = datetime.fromisoformat(value).astimezone(SHANGHAI) if value else datetime.now(SHANGHAI)
        left, right = st.columns(2)
        day = left.date_input(self.label, at.date(), help=self.help, key=f"{self.key}_day")
        clock = right.time_input("　", at.time().replace(second=0, microsecond=0), key=f"{self.key}_time")
        return datetime.combine(day, clock, SHANGHAI).isoformat()


def draw_hasher() -> None:
    """SHA-256 of a file, for the fields that ask for a digest."""
    with st.expander(t("filings.hash_file"), icon=":material/fingerprint:"):
        st.caption(t("filings.hash_note"))
        if file := st.file_uploader(t("filings.hash_file"), label_visibility="collapsed", key="hash_file"):
            st.code(hashlib.sha256(file.getvalue()).hexdigest(), language=None)
