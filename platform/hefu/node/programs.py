"""What a worker runs for each component that a contract may name: how an owner's files are prepared, and the program.

Imports stand inside: a worker that computes does without what reads files (DuckDB, Arrow, PostgreSQL), and a worker for one
component without the other's code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hefu.components.registry import ComponentUnknown

if TYPE_CHECKING:
    from hefu.components.reconcile import Progress
    from hefu.node.program import Program


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Read an owner's files into rows, keep them below the job's folder; answers counts and the salted digest.

    raises  SourceError, ComponentUnknown
    """
    match task["component"]:
        case "reconcile":
            from hefu.node.reconcile_rows import prepare_reconcile

            return prepare_reconcile(task)
        case "aggregate":
            from hefu.node.aggregate_rows import prepare_aggregate

            return prepare_aggregate(task)
    raise ComponentUnknown(f"this node has no program for {task['component']!r}")


def program(task: dict[str, Any], progress: Progress) -> Program:
    """This organisation's part in one attempt. Raises ComponentUnknown."""
    match task["component"]:
        case "reconcile":
            from hefu.node.program import Program

            return Program(task, progress)
        case "aggregate":
            from hefu.node.aggregate_program import AggregateProgram

            return AggregateProgram(task, progress)
    raise ComponentUnknown(f"this node has no program for {task['component']!r}")
