"""Budgets: exact sums, refusals that name what is left, composition that is never optimistic."""

import threading
from fractions import Fraction
from math import exp, log, sqrt

import numpy as np
import pytest
from hefu.engine import dp
from hefu.engine.dp import Budget, BudgetExhausted, Loss, compose
from hefu.engine.dp.library import epsilon_of_concentrated
from hefu.engine.errors import EngineError, InputInvalid
from hypothesis import given, settings
from hypothesis import strategies as st


def test_ten_tenths_are_one():
    budget = Budget(1)
    for i in range(10):
        budget.spend(Loss.pure("0.1"), f"query {i}")
    assert budget.spent().epsilon == 1
    with pytest.raises(BudgetExhausted, match=r"query 10: costs ε 1e-09; left: ε 0 of 1, δ 0"):
        budget.spend(Loss.pure("1e-9"), "query 10")


def test_a_float_is_the_number_that_it_is():
    budget = Budget("0.3")
    with pytest.raises(BudgetExhausted):
        for _ in range(3):
            budget.spend(Loss.pure(0.1), "0.1 in binary is above a tenth")
    assert len(budget.spends) == 2


def test_a_refusal_spends_nothing_and_is_the_engines_error():
    budget = Budget(1, "1e-6")
    budget.spend(Loss.approximate("0.25", "5e-7"), "first")
    for loss in (Loss.pure("0.76"), Loss.approximate("0.1", "6e-7")):
        with pytest.raises(EngineError, match=r"left: ε 0\.75 of 1, δ 5e-07"):
            budget.spend(loss, "too much")
    budget.spend(Loss.approximate("0.75", "5e-7"), "all the rest")
    assert budget.left() == "ε 0 of 1, δ 0"


def test_a_release_is_spent_before_it_is_drawn():
    budget = Budget(1)
    mechanism = dp.discrete_laplace(1, "0.6")
    assert budget.release(mechanism, np.zeros(4, dtype=np.int64), "counts").shape == (4,)
    drawn = []

    class Spy:
        loss = Loss.pure("0.6")

        def __call__(self, values):
            drawn.append(values)

    with pytest.raises(BudgetExhausted):
        budget.release(Spy(), np.zeros(4), "again")
    assert not drawn
    with pytest.raises(InputInvalid):
        budget.release(dp.discrete_laplace(1, "0.1"), np.zeros(4), "floats")
    assert len(budget.spends) == 2


def test_threads_do_not_overspend():
    budget = Budget(1)
    refused = []

    def spend():
        for _ in range(50):
            try:
                budget.spend(Loss.pure("0.01"), "one of many")
            except BudgetExhausted as error:
                refused.append(error)

    threads = [threading.Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(budget.spends) == 100
    assert len(refused) == 100


def test_a_budget_is_restored_from_its_spends():
    budget = Budget(1, "1e-6", "zcdp")
    budget.spend(Loss.concentrated("0.01"), "a")
    again = Budget(1, "1e-6", "zcdp", spends=budget.spends)
    assert again.left() == budget.left()
    assert again.spends == budget.spends


@given(
    st.lists(st.fractions(Fraction(1, 10**6), 1, max_denominator=10**6), min_size=1, max_size=30),
    st.fractions(Fraction(1, 10**9), Fraction(1, 10), max_denominator=10**9),
)
@settings(max_examples=60, deadline=None)
def test_composition_is_not_optimistic(epsilons, slack):
    losses = [Loss.pure(e) for e in epsilons]
    assert compose(losses, "basic").epsilon == sum(epsilons)
    squares = float(sum(e * e for e in epsilons))
    total = compose(losses, "advanced", slack)
    formula = squares / 2 + sqrt(2 * log(1 / slack) * squares)
    assert formula * (1 - 1e-12) <= total.epsilon <= formula * (1 + 1e-12)
    assert total.delta == slack
    # The classical bound (Dwork, Rothblum, Vadhan 2010, for equal ε; Kairouz, Oh, Viswanath 2015, theorem 3.5) is lower
    older = sum(float(e) * (exp(e) - 1) / (exp(e) + 1) for e in epsilons) + sqrt(2 * log(1 / slack) * squares)
    assert total.epsilon >= older * (1 - 1e-12)
    # and zCDP's optimal conversion is lower too, but not below what the Gaussian really needs.
    assert compose(losses, "zcdp", slack).epsilon <= total.epsilon * Fraction(1_000_001, 1_000_000)


@given(st.fractions(Fraction(1, 1000), 5, max_denominator=1000), st.sampled_from([1e-3, 1e-6, 1e-9]))
@settings(max_examples=40, deadline=None)
def test_the_conversion_is_that_of_the_paper(rho, delta):
    """Canonne, Kamath, Steinke 2020, proposition 7, minimised over α on a grid."""
    alphas = 1 + np.geomspace(1e-3, 1e4, 200_000)
    bound = (
        float(rho) * alphas + np.log1p(-1 / alphas) - (np.log(delta) + np.log(alphas)) / (alphas - 1)
    ).min()
    found = float(epsilon_of_concentrated(rho, Fraction(delta)))
    assert bound * (1 - 1e-6) - 1e-9 <= found <= bound * (1 + 1e-4) + 1e-6


@pytest.mark.parametrize("accountant", ["advanced", "zcdp"])
@pytest.mark.parametrize("epsilon", ["0.1", "1", "8"])
def test_a_full_budget_is_within_its_epsilon_and_nearly_used(accountant, epsilon):
    budget = Budget(epsilon, "1e-6", accountant)
    small = Loss.pure(Fraction(epsilon) / 200)
    with pytest.raises(BudgetExhausted):
        for _ in range(100_000):
            budget.spend(small, "one more")
    assert len(budget.spends) > 200  # more than basic composition allows
    assert budget.spent().epsilon <= budget.epsilon
    assert budget.spent().epsilon > budget.epsilon * Fraction(98, 100)
    assert budget.spent().delta == Fraction("1e-6")
    assert compose([s.loss for s in budget.spends] + [small], accountant, "1e-6").epsilon > budget.epsilon


def test_slack_and_deltas():
    budget = Budget(1, "1e-6", "zcdp")
    with pytest.raises(BudgetExhausted, match="δ 0"):
        budget.spend(Loss.approximate("0.01", "1e-9"), "carries its own δ")
    budget = Budget(1, "1e-6", "advanced", slack="5e-7")
    budget.spend(Loss.approximate("0.01", "5e-7"), "fits")
    with pytest.raises(BudgetExhausted):
        budget.spend(Loss.approximate("0.01", "1e-12"), "does not")
    for arguments in (("basic", "1e-7"), ("zcdp", "1e-5"), ("advanced", 0)):
        with pytest.raises(InputInvalid):
            Budget(1, "1e-6", arguments[0], slack=arguments[1])
    with pytest.raises(InputInvalid):
        Budget(1, 0, "zcdp")


def test_losses_of_the_wrong_kind():
    gaussian = dp.discrete_gaussian(1, "0.01").loss
    with pytest.raises(InputInvalid, match="at_delta"):
        Budget(1, "1e-6").spend(gaussian, "ρ in an ε budget")
    Budget(1, "1e-6").spend(gaussian.at_delta("1e-6"), "converted")
    Budget(1, "1e-6", "zcdp").spend(gaussian, "counted as it is")
    with pytest.raises(InputInvalid):
        gaussian.at_delta(0)


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf"), "much", None, True])
def test_bad_budgets(bad):
    with pytest.raises(InputInvalid):
        Budget(bad)
    if bad != 0:
        with pytest.raises(InputInvalid):
            Budget(1, bad)
        with pytest.raises(InputInvalid):
            Loss.pure(bad)
