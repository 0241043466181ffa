"""A contract's step against the component that it names: known, its parameters fit, the output says what it will give."""

from typing import Any

from pydantic import ValidationError

from hefu.components.aggregate import MIN_GROUP, AggregateParameters
from hefu.components.registry import ComponentUnknown, component
from hefu.domain.contract import Contract
from hefu.domain.errors import DocumentInvalid


def check_step(name: str, parameters: dict[str, Any]) -> None:
    """Raises DocumentInvalid naming the clause when the component is unknown or a parameter does not fit."""
    try:
        component(name).parameters.model_validate(parameters)
    except ComponentUnknown as error:
        raise DocumentInvalid("Contract", "computation.steps.component", str(error)) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        clause = ".".join(str(part) for part in first["loc"])
        raise DocumentInvalid("Contract", f"computation.steps.parameters.{clause}", first["msg"]) from error


def check_outputs(contract: Contract) -> None:
    """The output clauses are those that the component enforces: what people sign is what the gate does (K7).

    raises  DocumentInvalid naming the clause
    """
    step = contract.computation.steps[0]
    form = component(step.component).form
    for output in contract.outputs:
        if output.form != form:
            raise _differs("form", f"component {step.component} gives {form}, not {output.form}")
    if step.component != "aggregate":
        return
    clauses = AggregateParameters.model_validate(step.parameters)
    nodes = contract.computation.compute_parties
    holders = {*contract.owners(), *contract.recipients()}
    if nodes[0] in holders or nodes[2] in holders:
        raise DocumentInvalid(
            "Contract", "computation.compute_parties", "N0 and N2 are neither an owner nor the recipient"
        )
    if len(contract.data_sets) != len(contract.owners()):
        raise DocumentInvalid("Contract", "data_sets", "each owner brings one data set")
    for data_set in contract.data_sets:
        subject = clauses.columns.get(data_set.owner, {}).get(clauses.subject, clauses.subject)
        if data_set.subject_field != subject:
            raise DocumentInvalid(
                "Contract",
                "data_sets.subject_field",
                f"{data_set.data_set_id}: distinct subjects are of {subject}",
            )
    value_unit(contract, clauses)
    for output in contract.outputs:
        if clauses.min_group != (output.min_group_size or MIN_GROUP):
            raise _differs("min_group_size", f"the component is told {clauses.min_group}")
        said = output.dominance and (output.dominance.contributors, output.dominance.max_share_ppm)
        rule = clauses.dominance and (clauses.dominance.contributors, clauses.dominance.max_share_ppm)
        if said != rule:
            raise _differs("dominance", f"the component is told {rule}")
        allowed = {column.name for column in output.columns}
        leaving = {*clauses.release, *(key.field for key in clauses.group_by)}
        if not leaving <= allowed:
            raise _differs("columns", f"{', '.join(sorted(leaving - allowed))} would leave and may not")


def value_unit(contract: Contract, clauses: AggregateParameters) -> str | None:
    """`money` or `integer`, what is added up; None where rows are counted only.

    raises  DocumentInvalid when a field is not in an owner's data set, or owners hold the value in different units
    """
    units = set()
    for data_set in contract.data_sets:
        types = {field.name: field.type for field in data_set.fields}
        given = clauses.columns.get(data_set.owner, {})
        for name in clauses.used_fields():
            column = given.get(name, name)
            if column not in types:
                raise DocumentInvalid(
                    "Contract", "data_sets.fields", f"{data_set.data_set_id} has no field {column}"
                )
            if name == clauses.value:
                units.add(types[column].value)
    if len(units) > 1 or units - {"money", "integer"}:
        raise DocumentInvalid(
            "Contract", "data_sets.fields", "the value is money at every owner, or an integer at every owner"
        )
    return next(iter(units), None)


def _differs(clause: str, text: str) -> DocumentInvalid:
    return DocumentInvalid("Contract", f"outputs.{clause}", text)
