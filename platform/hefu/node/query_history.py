"""Repeated-query control at the data owner's own node: no job whose subjects are nearly those of an earlier one (K5).

Of every counted use of a statistic the node keeps which data subjects were in it, as 64-bit hashes under a key that never
leaves it, encrypted under a key of its own that is destroyed after the contract's end (`hefu.node.retention`). A new input is compared with them when the day's data are checked, and again, under the lock
that counts uses, before a byte leaves: of two jobs at once, one comes second. The rule is `hefu.domain.rules.queries`.
History is by contract, over all its versions; a new contract over the same data is a new decision of everybody who signs it.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from sqlmodel import Session, col, select

from hefu.components.aggregate import AggregateParameters
from hefu.domain.contract import Contract
from hefu.domain.job import Order
from hefu.domain.rules.queries import Query, check_query
from hefu.domain.verdict import Finding
from hefu.keys.at_rest import open_decrypted
from hefu.keys.errors import FileSealInvalid
from hefu.node.context import NodeContext
from hefu.node.kept_groups import SUBJECTS_FILE, load_subjects
from hefu.node.refusals import refuse, refuse_for
from hefu.node.storage_keys import job_key, key_for, open_key, write_stored
from hefu.node.uses import committed
from hefu.store.base import now
from hefu.store.node_tables import AnsweredQueryRow

MIN_DIFFERENCE = 20


def guarded(contract: Contract) -> bool:
    """Whether the contract's component answers with statistics about groups of data subjects."""
    return contract.computation.steps[0].component == "aggregate"


def history_key(ctx: NodeContext) -> bytes:
    """The key of this node's hashes of data subjects: the same for ever, or earlier sets could not be compared."""
    return hashlib.blake2b(
        b"hefu query history v1", key=ctx.keys.identity.private_bytes_raw(), digest_size=32
    ).digest()


def check(
    ctx: NodeContext, session: Session, order: Order, contract: Contract, commitment: str, folder: Path
) -> list[Finding]:
    """What speaks against answering this job with the input in its folder; a retry with the same input is no new query."""
    rows = session.exec(
        select(AnsweredQueryRow)
        .where(AnsweredQueryRow.contract_id == contract.contract_id)
        .order_by(col(AnsweredQueryRow.at))
    ).all()
    if any((row.job, row.commitment) == (order.job, commitment) for row in rows):
        return []
    history = [Query(row.statistic, row.measure, _opened(ctx, session, row)) for row in rows]
    statistic, measure = _names(ctx, order, contract)
    query = Query(statistic, measure, _of_input(ctx, session, order, contract, folder))
    found = check_query(history, query, contract.min_set_difference or MIN_DIFFERENCE).findings
    return [finding.model_copy(update={"party": ctx.org_id}) for finding in found]


def keep(ctx: NodeContext, session: Session, order: Order, contract: Contract, folder: Path) -> None:
    """Check once more and remember the input's subjects, in the transaction that counts the use.

    raises  Refusal (403) with the rule's name when the job is too like an earlier one
    """
    row = committed(session, order.job)
    commitment = str(row.input["commitment"]) if row is not None else ""
    for finding in check(ctx, session, order, contract, commitment, folder):
        raise refuse_for(finding, party=ctx.org_id, stage="compute")
    if session.get(AnsweredQueryRow, (contract.contract_id, order.job, commitment)) is not None:
        return
    subjects = _of_input(ctx, session, order, contract, folder)
    statistic, measure = _names(ctx, order, contract)
    name = hashlib.sha256(f"{order.job}/{commitment}".encode()).hexdigest()
    kept = AnsweredQueryRow(
        contract_id=contract.contract_id,
        job=order.job,
        commitment=commitment,
        contract=contract.digest,
        attempt=order.attempt,
        business_date=order.business_date,
        statistic=statistic,
        measure=measure,
        subjects=len(subjects),
        path=f"queries/{name}.sealed",
        at=now(),
    )
    target = ctx.paths.root / kept.path
    target.parent.mkdir(mode=0o700, exist_ok=True)
    packed = io.BytesIO()
    np.savez_compressed(packed, subjects=subjects)
    key = key_for(ctx, session, target, "query_set", job=order.job, contract_id=contract.contract_id)
    write_stored(target, packed.getvalue(), key)
    session.add(kept)


def _names(ctx: NodeContext, order: Order, contract: Contract) -> tuple[str, str]:
    """(digest of the statistic as it is asked, digest of what is summed). Events of another day are something else."""
    step = contract.computation.steps[0]
    parameters = AggregateParameters.model_validate(step.parameters)
    allowed = next(d for d in contract.data_sets if d.owner == ctx.org_id)
    day = order.business_date if allowed.events else ""
    statistic = f"{allowed.data_set_id}\0{day}\0{allowed.row_filter}\0{parameters.model_dump_json()}"
    measure = f"{allowed.data_set_id}\0{day}\0{parameters.value or ''}"
    return hashlib.sha256(statistic.encode()).hexdigest(), hashlib.sha256(measure.encode()).hexdigest()


def _of_input(ctx: NodeContext, session: Session, order: Order, contract: Contract, folder: Path) -> Any:
    """The prepared input's subjects, from the job's folder."""
    key = job_key(ctx, session, folder, order.job, contract.contract_id)
    return load_subjects(folder / SUBJECTS_FILE, key)


def _opened(ctx: NodeContext, session: Session, row: AnsweredQueryRow) -> Any:
    """The subjects of an earlier query. A set that cannot be read may hide a repeat: nothing is answered then."""
    path = ctx.paths.root / row.path
    key = open_key(ctx, session, path)
    try:
        if key is None:
            raise FileSealInvalid("has no key")
        with open_decrypted(path, key) as plain, np.load(plain, allow_pickle=False) as kept:
            return kept["subjects"]
    except (FileSealInvalid, OSError) as error:
        raise refuse(
            409,
            "query_history_unreadable",
            f"任务 {row.job} 的查询记录无法读取，无法判断是否重复查询",
            f"the record of the query of job {row.job} cannot be read: whether this is a repeat is not known",
            "请由节点管理员从备份恢复节点目录",
            "restore the node's folder from a backup",
            party=ctx.org_id,
            limit=row.path,
        ) from error
