"""Who may compute: the protocol's assumption, position by position."""

from typing import Any

import pytest
from hefu.domain.positions import check_positions, under_common_control

N0, N1, N2 = "operator", "bank", "exchange"


def seen(world: Any, compute: tuple[str, str, str] = (N0, N1, N2), **changes: dict[str, Any]) -> list[str]:
    """What is found, where some applications say something else of themselves."""
    applications = {org: a.model_copy(update=changes.get(org, {})) for org, a in world.applications.items()}
    contract = world.contract(computation={"compute_parties": list(compute)})
    found = list(check_positions(contract, applications))
    assert all(f.rule == "protocol_assumption" and f.severity == "block" and f.party for f in found)
    return [f.seen for f in found]


def test_the_usual_cast_holds(world: Any) -> None:
    """N1 may own data: the bank does."""
    assert seen(world) == []


@pytest.mark.parametrize("place", [0, 2])
@pytest.mark.parametrize(
    ("org", "role"),
    [("institution", "data owner"), ("bank", "data owner"), ("regulator", "recipient")],
)
def test_n0_or_n2_as_owner_or_recipient(world: Any, place: int, org: str, role: str) -> None:
    cast = [o for o in ("operator", "exchange", "auditor") if o != org]
    compute = (org, cast[0], cast[1]) if place == 0 else (cast[0], cast[1], org)
    assert f"{org} is also {role}" in seen(world, compute)


@pytest.mark.parametrize("pair", [(N0, N1), (N0, N2), (N1, N2)])
@pytest.mark.parametrize("way", ["affiliate", "affiliate of the other", "same shareholder", "same affiliate"])
def test_two_compute_nodes_under_common_control(world: Any, pair: tuple[str, str], way: str) -> None:
    """Any two together hold both shares of every row."""
    left, right = pair
    changes: dict[str, dict[str, Any]] = {
        "affiliate": {left: {"affiliates": (right,)}},
        "affiliate of the other": {right: {"affiliates": (left,)}},
        "same shareholder": {org: {"controlling_shareholder": "一家控股"} for org in pair},
        "same affiliate": {org: {"affiliates": ("holding-co",)} for org in pair},
    }[way]
    assert seen(world, **changes) != []


@pytest.mark.parametrize("node", [N0, N2])
@pytest.mark.parametrize("other", ["institution", "bank", "regulator"])
def test_a_node_under_common_control_with_owner_or_recipient(world: Any, node: str, other: str) -> None:
    assert (
        seen(world, **{node: {"controlling_shareholder": "x"}, other: {"controlling_shareholder": "x"}}) != []
    )


def test_who_computes_nothing_may_be_related(world: Any) -> None:
    assert (
        seen(world, auditor={"controlling_shareholder": "x"}, operator={"controlling_shareholder": "x"}) == []
    )


def test_common_control_is_symmetric_and_silent_of_strangers(world: Any) -> None:
    applications = {"a": world.applications["bank"].model_copy(update={"affiliates": ("b",)})}
    assert under_common_control("a", "b", applications)
    assert under_common_control("b", "a", applications)
    assert not under_common_control("c", "d", applications)
