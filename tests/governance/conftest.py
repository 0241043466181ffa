"""One village for the whole run: starting it takes some seconds."""

import importlib.util
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def _raise() -> Iterator[Any]:
    name = "hefu_village"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / "village.py")
        if spec is None or spec.loader is None:
            raise ImportError(name)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    with tempfile.TemporaryDirectory(prefix="hefu-village-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        made = sys.modules[name].Village(Path(folder) / "state")
        try:
            made.start()
            yield made
        finally:
            made.stop()


@pytest.fixture(scope="session")
def village() -> Iterator[Any]:
    """Made by `village.py`: coordinator and six nodes, everybody admitted, data sets registered."""
    yield from _raise()


@pytest.fixture(scope="module")
def own_village() -> Iterator[Any]:
    """One of a module's own, for what is told of all contracts together."""
    yield from _raise()
