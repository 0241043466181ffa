"""Which components exist, and the digest of their code that a contract names.

The digest covers every source file of engine and components, so that a party can see from a contract exactly which
program it will run; line endings don't count, comments do.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel

from hefu.components import aggregate, reconcile
from hefu.engine import ENGINE_VERSION
from hefu.engine.session import encode

_PACKAGES = ("components", "engine")


class ComponentUnknown(LookupError):
    """No component bears this name."""


@dataclass(frozen=True, slots=True)
class Component:
    """What a contract may name.

    module      where its program is
    roles       which parts parties play
    parameters  the model of its clauses; strict, so a contract that says more or less is refused
    form        the form of its result, as a contract's output must say; a node's programs are in `hefu.node.programs`
    """

    name: str
    module: str
    roles: tuple[str, ...]
    parameters: type[BaseModel]
    form: str


COMPONENTS: Mapping[str, Component] = MappingProxyType(
    {
        "reconcile": Component(
            "reconcile", reconcile.__name__, reconcile.ROLES, reconcile.ReconcileParameters, "row_status"
        ),
        "aggregate": Component(
            "aggregate",
            aggregate.__name__,
            aggregate.ROLES,
            aggregate.AggregateParameters,
            "group_statistics",
        ),
    }
)


def component(name: str) -> Component:
    """The component of this name; raises ComponentUnknown."""
    try:
        return COMPONENTS[name]
    except KeyError:
        raise ComponentUnknown(f"no component is called {name!r}") from None


def code_digest(name: str) -> str:
    """SHA-256 (hex) over the component's name, the engine's version and every source file, by path; the same everywhere.

    raises  ComponentUnknown
    """
    return digest_of_sources(component(name).name, Path(__file__).resolve().parent.parent)


def digest_of_sources(name: str, root: Path) -> str:
    """The digest for a package folder that holds `components` and `engine`."""
    digest = hashlib.sha256(encode(b"hefu component v1", name.encode(), ENGINE_VERSION.encode()))
    files = {
        path.relative_to(root).as_posix(): path
        for package in _PACKAGES
        for path in (root / package).rglob("*.py")
    }
    for relative in sorted(files):
        digest.update(encode(relative.encode(), files[relative].read_bytes().replace(b"\r\n", b"\n")))
    return digest.hexdigest()
