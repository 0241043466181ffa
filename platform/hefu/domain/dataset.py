"""Data sets: what an organisation says about its own data before any of it is used.

Only this description and its digest leave the node. Sensitive categories are those of white paper A, 3.4 (数据源合规) and
of the Personal Information Protection Law (PIPL), article 28; legal bases are PIPL, article 13; grades are JR/T
0171-2020's C1 to C3 (C3 = authentication information).
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated, Literal, Self

import pydantic
import rfc8785
from pydantic import model_validator

from hefu.domain.document import Document, Name, OrgId, Text

DataSetKind = Literal["business_records", "fund_flows", "table"]
FieldName = Annotated[str, pydantic.Field(min_length=1, max_length=128)]


class FieldType(StrEnum):
    """How a field's text is read. `money` is yuan with up to two decimals, held as integer cents."""

    TEXT = "text"
    INTEGER = "integer"
    MONEY = "money"
    DATE = "date"
    DATETIME = "datetime"


class IdentifierClass(StrEnum):
    """Does the field name a person: by itself, together with others, or not at all?"""

    DIRECT = "direct"
    QUASI = "quasi"
    NONE = "none"


class SensitiveCategory(StrEnum):
    """Sensitive personal information (white paper A, 3.4; PIPL art. 28)."""

    NONE = "none"
    ETHNICITY = "ethnicity"  # 民族或者种族背景
    POLITICAL = "political"  # 政治立场
    RELIGION = "religion"  # 宗教哲学信仰
    GENETIC = "genetic"  # 基因数据
    BIOMETRIC = "biometric"  # 旨在识别特定自然人的生物识别数据
    HEALTH = "health"  # 身体健康状态、医疗健康
    SPECIFIC_IDENTITY = "specific_identity"  # 特定身份
    FINANCIAL_ACCOUNT = "financial_account"  # 金融账户
    WHEREABOUTS = "whereabouts"  # 行踪轨迹
    MINOR = "minor"  # 不满十四周岁未成年人


class DataGrade(StrEnum):
    """Grade of personal financial information; C3 is the highest."""

    C1 = "C1"
    C2 = "C2"
    C3 = "C3"


class SourceKind(StrEnum):
    """Where the data comes from (white paper A, 3.4); each kind has checks of its own."""

    DIRECT = "direct"
    INDIRECT = "indirect"
    PUBLIC_PLACE = "public_place"


class LegalBasis(StrEnum):
    """Why the data may be processed (PIPL art. 13, items 1 to 7)."""

    CONSENT = "consent"
    CONTRACT = "contract"
    STATUTORY_DUTY = "statutory_duty"
    EMERGENCY = "emergency"
    NEWS_SUPERVISION = "news_supervision"
    ALREADY_PUBLIC = "already_public"
    OTHER_LAW = "other_law"


class Field(Document):
    """One column: its name as in the file, its type, how sensitive it is, what it means."""

    name: FieldName
    type: FieldType
    identifier_class: IdentifierClass
    sensitive: SensitiveCategory
    grade: DataGrade
    meaning_zh: Text
    meaning_en: Text


class DataSet(Document):
    """A registered data set. `date_field` is the column that says to which business day a row belongs."""

    data_set_id: Name
    owner: OrgId
    name: Name
    kind: DataSetKind
    fields: Annotated[tuple[Field, ...], pydantic.Field(min_length=1, max_length=256)]
    date_field: FieldName | None
    source_kind: SourceKind
    legal_basis: LegalBasis
    legal_basis_note: Text = ""

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        names = [field.name for field in self.fields]
        if len(set(names)) != len(names):
            raise ValueError("fields: a name stands twice")
        if self.date_field is not None:
            if self.date_field not in names:
                raise ValueError(f"date_field: {self.date_field} is not one of the fields")
            if self.field(self.date_field).type not in (FieldType.DATE, FieldType.DATETIME):
                raise ValueError(f"date_field: {self.date_field} is neither a date nor a datetime")
        return self

    def field(self, name: str) -> Field:
        """The field of this name. Raises KeyError when there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)


def schema_digest(data_set: DataSet) -> str:
    """SHA-256 (64 hex digits) of the RFC 8785 bytes of the data set's shape: its kind, fields and date field.

    Name, source and legal basis may be reworded without a new contract; a column, its type, grade or class may not.
    """
    shape = {
        "kind": data_set.kind,
        "date_field": data_set.date_field,
        "fields": [field.model_dump(mode="json") for field in data_set.fields],
    }
    return hashlib.sha256(rfc8785.dumps(shape)).hexdigest()
