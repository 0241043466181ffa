"""The choice between the methods, and that the cost formulas are those of the messages."""

import numpy as np
import pytest
from hefu.engine.errors import InputInvalid
from hefu.engine.pir import choose, lattice, single
from hefu.engine.pir.choose import LABELLED_PSI, SINGLE_SERVER, TWO_SERVER, choose_pir


def test_two_servers_win_for_one_query_where_they_exist() -> None:
    choice = choose_pir(1 << 20, 32, 1, True, by_key=False)
    assert choice.method == TWO_SERVER
    assert SINGLE_SERVER not in choice.costs  # a column would be shown
    assert any("whole column" in reason for reason in choice.reasons)


def test_large_payloads_and_few_queries_go_to_one_server() -> None:
    choice = choose_pir(1 << 20, 1000, 2, False, bytes_per_second=1e6)
    assert choice.method == SINGLE_SERVER
    assert any("two-server ruled out" in reason for reason in choice.reasons)


def test_large_batches_go_to_labelled_psi() -> None:
    assert choose_pir(1 << 20, 16, 100_000, False).method == LABELLED_PSI


def test_impossible_tasks_are_refused() -> None:
    for task in ((-1, 1, 1, True), (1, -1, 1, True), (1, 1, 0, True)):
        with pytest.raises(InputInvalid):
            choose_pir(*task)
    with pytest.raises(InputInvalid):
        choose_pir(1, 1, 1, True, bytes_per_second=0)


@pytest.mark.parametrize("records", [0, 1, 10**6, 10**8])
def test_every_size_has_a_choice(records: int) -> None:
    assert choose_pir(records, 8, 10, True).method
    assert choose_pir(records, 0, 10, False).method


def test_the_formula_counts_the_messages_of_a_run(run_parties) -> None:
    data = np.zeros((500, 8), np.uint8)

    def owner(session, channels):
        made = lattice.prepare(session, data, queries=3)
        single.serve_hint(session, channels["asker"], made)
        single.serve_queries(session, channels["asker"], made)

    def asker(session, channels):
        hint = single.fetch_hint(session, channels["owner"])
        single.retrieve(session, channels["owner"], hint, [1, 2, 3])

    ran = run_parties({"owner": owner, "asker": asker})
    cost = choose.single_server_cost(500, 8, 3, by_key=False, sealed=False)
    sizes = [size for party in ("owner", "asker") for _, size in ran.sizes(party)]
    assert sum(sizes) == cost.offline_bytes + cost.online_bytes + 40 + 8  # header and count
