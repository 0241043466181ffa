"""The clauses of a contract that name `reconcile`, and the registry that lists it."""

import shutil
from pathlib import Path

import pytest
from hefu.components import registry
from hefu.components.reconcile import ReconcileParameters
from pydantic import ValidationError

GOOD = {
    "match_keys": ["serial", "type"],
    "compare": "each",
    "window_days": 2,
    "type_codes": {"bank": {"01": "repayment"}},
    "columns": {"bank": {"serial": "流水号"}},
    "max_rejected_ppm": 100,
    "reveal_difference": True,
}


def test_the_same_clauses_from_python_and_json() -> None:
    parameters = ReconcileParameters.model_validate(GOOD)
    assert parameters.match_keys == ("serial", "type")
    assert ReconcileParameters.model_validate_json(parameters.model_dump_json()) == parameters
    assert ReconcileParameters.model_validate(parameters.model_dump(mode="json")) == parameters


def test_only_the_match_keys_must_be_said() -> None:
    plain = ReconcileParameters.model_validate({"match_keys": ["party", "date"]})
    assert (plain.compare, plain.window_days, plain.max_rejected_ppm, plain.reveal_difference) == (
        "each",
        0,
        0,
        False,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"match_keys": []},
        {"match_keys": ["serial", "serial"]},
        {"match_keys": ["amount"]},
        {"match_keys": "serial"},
        {"compare": "all"},
        {"window_days": 8},
        {"window_days": -1},
        {"window_days": 1.0},
        {"window_days": True},
        {"match_keys": ["party", "date"], "window_days": 1},
        {"compare": "sum", "window_days": 1},
        {"max_rejected_ppm": 1_000_001},
        {"reveal_difference": "yes"},
        {"columns": {"bank": {"Serial!": "x"}}},
        {"columns": {"bank": {"serial": ""}}},
        {"type_codes": {"bank": {"01": 1}}},
        {"surprise": 1},
    ],
)
def test_other_clauses_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ReconcileParameters.model_validate(GOOD | change)


def test_parameters_are_frozen() -> None:
    with pytest.raises(ValidationError):
        ReconcileParameters.model_validate(GOOD).window_days = 3  # type: ignore[misc]


def test_the_registry_knows_reconcile_and_nothing_unknown() -> None:
    found = registry.component("reconcile")
    assert found.parameters is ReconcileParameters
    assert found.roles == ("owner", "n0", "n1", "n2", "receiver")
    with pytest.raises(registry.ComponentUnknown):
        registry.component("reconcile2")
    with pytest.raises(registry.ComponentUnknown):
        registry.code_digest("")


def test_the_code_digest_follows_the_sources_and_nothing_else(tmp_path: Path) -> None:
    package = Path(registry.__file__).parent.parent
    for folder in ("components", "engine"):
        shutil.copytree(package / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    digest = registry.code_digest("reconcile")
    assert len(bytes.fromhex(digest)) == 32
    assert registry.digest_of_sources("reconcile", tmp_path) == digest
    assert registry.digest_of_sources("other", tmp_path) != digest

    join = tmp_path / "engine" / "join.py"
    source = join.read_bytes()
    join.write_bytes(source.replace(b"\n", b"\r\n"))
    (tmp_path / "engine" / "notes.txt").write_text("not a source")
    assert registry.digest_of_sources("reconcile", tmp_path) == digest
    join.write_bytes(source.replace(b"SINGLE = -1", b"SINGLE = -3"))
    assert registry.digest_of_sources("reconcile", tmp_path) != digest
    join.write_bytes(source)
    join.rename(tmp_path / "engine" / "joins.py")
    assert registry.digest_of_sources("reconcile", tmp_path) != digest


def test_reading_parameters_does_not_load_the_compiler() -> None:
    """The coordinator only validates contracts: it must not pay for numba."""
    import subprocess
    import sys

    code = "import sys, hefu.components.registry as r; r.code_digest('reconcile'); sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
