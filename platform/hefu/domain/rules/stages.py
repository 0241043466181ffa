"""K11: what a contract exposes in transmission, computation and result, and so its grades (white paper B, 3.2.2).

Key custody and collusion are inputs: pseudonyms whose key a viewer holds, and shares at compute parties under common
control, are graded as what stands underneath.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hefu.domain.contract import Contract, Output
from hefu.domain.dataset import IdentifierClass
from hefu.domain.filings.admission import AdmissionDossier
from hefu.domain.identity import Application
from hefu.domain.positions import under_common_control
from hefu.domain.rules.exposure import LARGE_GROUP, Exposure, Form, Stage
from hefu.domain.rules.stage_grades import StageGrades, combine
from hefu.domain.rules.technique_table import (
    FieldUse,
    Technique,
    TechniqueUse,
    description_of,
    uses_of,
)

_FORMS = {
    Technique.PLAIN: Form.PLAIN,
    Technique.HASH: Form.HASH,
    Technique.KEYED_TOKEN: Form.PSEUDONYM,
    Technique.SECRET_SHARE: Form.SHARES,
    Technique.HOMOMORPHIC: Form.CIPHERTEXT,
    Technique.AGGREGATE: Form.STATISTICS,
    Technique.GRADIENT: Form.GENERALISED,
    Technique.PROTECTED_GRADIENT: Form.STRONGLY_TREATED,
}
POSITIONS = ("n0", "n1", "n2")
_STRENGTH = [IdentifierClass.NONE, IdentifierClass.QUASI, IdentifierClass.DIRECT]


def grade(
    contract: Contract,
    applications: Mapping[str, Application],
    rows: int | None = None,
    dossiers: Iterable[AdmissionDossier] = (),
) -> StageGrades:
    """The contract's grades.

    rows  rows of the job's inputs; None: as many as the contract allows
    """
    lines = contract.limits.max_rows if rows is None else rows
    return combine([*_inputs(contract, applications, lines, tuple(dossiers)), *_results(contract, lines)])


def colluding_parties(
    contract: Contract, applications: Mapping[str, Application], dossiers: Iterable[AdmissionDossier] = ()
) -> list[tuple[str, str]]:
    """Pairs of compute parties that are under common control, or of which nobody knows whether they are."""
    nodes, related = contract.computation.compute_parties, tuple(dossiers)
    return [
        (a, b)
        for i, a in enumerate(nodes)
        for b in nodes[i + 1 :]
        if a not in applications or b not in applications or under_common_control(a, b, applications, related)
    ]


def _inputs(
    contract: Contract,
    applications: Mapping[str, Application],
    lines: int,
    dossiers: tuple[AdmissionDossier, ...],
) -> Iterable[Exposure]:
    colluding = bool(colluding_parties(contract, applications, dossiers))
    for step in contract.computation.steps:
        if description_of(step) is None:
            for stage in ("transmission", "computation"):
                yield Exposure(
                    stage,
                    Form.PLAIN,
                    f"{step.component}（无技术说明 not described）",
                    IdentifierClass.DIRECT,
                    lines,
                    data_sets=tuple(d.data_set_id for d in contract.data_sets),
                )
            continue
        uses = uses_of(contract, step)
        for used in uses:
            strongest = _behind(used, uses)
            with_key = _has_key(contract, used.use, used.use.visible_to, applications, dossiers)
            joined_key = colluding and _has_key(contract, used.use, POSITIONS, applications, dossiers)
            both: tuple[tuple[Stage, tuple[Technique, ...]], ...] = (
                ("transmission", used.use.sent),
                ("computation", used.use.computed),
            )
            for stage, techniques in both:
                for technique in techniques:
                    if technique is Technique.LOCAL_ONLY:
                        continue
                    yield Exposure(
                        stage,
                        _FORMS[technique],
                        f"{used.data_set_id}.{used.name}",
                        strongest,
                        lines,
                        people=LARGE_GROUP if technique is Technique.AGGREGATE else None,
                        key_with_viewer=with_key if technique is Technique.KEYED_TOKEN else joined_key,
                        colluding=technique is Technique.SECRET_SHARE and colluding,
                        underneath=_FORMS.get(used.use.underneath, Form.PLAIN),
                        data_sets=(used.data_set_id,),
                    )


def _behind(used: FieldUse, uses: Iterable[FieldUse]) -> IdentifierClass:
    """The class of a field; of match keys, which make one token, the strongest; of an unlisted field, direct."""
    together = (
        [u for u in uses if u.data_set_id == used.data_set_id and u.use.role == used.use.role]
        if used.use.role == "match_key"
        else [used]
    )
    return max(
        (u.field.identifier_class if u.field else IdentifierClass.DIRECT for u in together),
        key=_STRENGTH.index,
    )


def _has_key(
    contract: Contract,
    use: TechniqueUse,
    viewers: tuple[str, ...],
    applications: Mapping[str, Application],
    dossiers: tuple[AdmissionDossier, ...],
) -> bool:
    """Whether one of these compute parties holds the tokens' key, or is under common control with one that does."""
    nodes = dict(zip(POSITIONS, contract.computation.compute_parties, strict=True))
    holders = {
        *(contract.owners() if "owner" in use.key_at else ()),
        *(contract.recipients() if "recipient" in use.key_at else ()),
        *(nodes[p] for p in use.key_at if p in nodes),
    }
    return any(
        viewer in holders or under_common_control(viewer, holder, applications, dossiers)
        for viewer in (nodes[p] for p in viewers)
        for holder in holders
    )


def _results(contract: Contract, lines: int) -> Iterable[Exposure]:
    every = tuple(d.data_set_id for d in contract.data_sets)
    classes = {f.name: f.identifier_class for d in contract.data_sets for f in d.fields}
    for output in contract.outputs:
        what = f"{output.form} → {output.recipient}"
        shown = min(lines, output.max_output_rows or lines)
        if output.form == "group_statistics":
            people = output.min_group_size or LARGE_GROUP
            groups = output.max_output_rows or max(lines // people, 1)
            yield Exposure(
                "result",
                Form.STATISTICS,
                what,
                _strongest(contract),
                groups,
                people=people,
                data_sets=every,
            )
        elif output.form == "model":
            yield Exposure(
                "result",
                Form.MODEL,
                what,
                _strongest(contract),
                shown,
                protected=output.epsilon_milli is not None,
                data_sets=every,
            )
        else:
            yield Exposure("result", Form.ROW_REFERENCE, what, _strongest(contract), shown, data_sets=every)
        yield from _columns(output, classes, what, shown, every)


def _columns(
    output: Output, classes: Mapping[str, IdentifierClass], what: str, shown: int, every: tuple[str, ...]
) -> Iterable[Exposure]:
    """Columns of the result that are fields of the inputs, shown as they are."""
    for column in output.columns:
        found = classes.get(column.name, IdentifierClass.NONE)
        if found is not IdentifierClass.NONE:
            yield Exposure("result", Form.PLAIN, f"{what}: {column.name}", found, shown, data_sets=every)


def _strongest(contract: Contract) -> IdentifierClass:
    return max((f.identifier_class for d in contract.data_sets for f in d.fields), key=_STRENGTH.index)
