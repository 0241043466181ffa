"""A contract's step against the component that it names: known, and its parameters fit."""

from typing import Any

from pydantic import ValidationError

from hefu.components.registry import ComponentUnknown, component
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
