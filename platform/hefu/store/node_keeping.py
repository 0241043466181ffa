"""A node's tables about its own data: subjects kept out of computations, and the keys of files at rest."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field

from hefu.store.base import NodeRow, blob, moment


class ExcludedSubjectRow(NodeRow, table=True):
    """A data subject that is kept out, by keyed hash; nothing here tells who it is.

    data_set_id, contract_id  "" stands for all
    kind                      withdraw, restrict, refuse, delete, opt_out
    filing                    digest of the filing that it follows from, where there is one
    """

    __tablename__ = "excluded_subject"
    data_set_id: str = Field(primary_key=True)
    contract_id: str = Field(primary_key=True)
    token: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    since: datetime = moment()
    filing: str | None = None


class StoredKeyRow(NodeRow, table=True):
    """The key of files at rest, wrapped under the node's own; once it is destroyed, `wrapped` is empty and nothing opens them.

    what       as in a deletion certificate: job_work, data_set_file, result, query_set
    path       the folder or file that it opens, below the node's folder
    reason     why it was destroyed: due, terminated, request, minimisation
    certified  digest of the deletion certificate that names it
    """

    __tablename__ = "stored_key"
    key_digest: str = Field(primary_key=True)
    what: str
    path: str
    job: str | None = None
    data_set_id: str | None = None
    contract_id: str | None = None
    wrapped: bytes = blob()
    made_at: datetime = moment()
    destroyed_at: datetime | None = moment(nullable=True)
    reason: str = ""
    certified: str | None = None
    __table_args__ = (  # the key of a thing
        Index("stored_key_of_a_place", "path", unique=True, postgresql_where=text("destroyed_at IS NULL")),
    )
