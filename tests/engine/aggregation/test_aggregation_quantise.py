"""Fixed point for sums: errors within the bound, no wrap for as many clients as stated."""

import numpy as np
import pytest
from hefu.engine.aggregation import Quantiser, RangeExceeded
from hypothesis import given
from hypothesis import strategies as st


@given(
    st.integers(1, 60),
    st.sampled_from([32, 64]),
    st.floats(1e-3, 1e4),
    st.lists(st.floats(-1, 1), min_size=1, max_size=5),
)
def test_sums_stay_within_the_bound_and_never_wrap(
    clients: int, bits: int, clip: float, unit: list[float]
) -> None:
    quantiser = Quantiser(clip, clients, bits)
    values = np.array([clip, -clip, 0.0, *(clip * u for u in unit)])
    total = np.zeros(len(values), dtype=quantiser.dtype)
    for _ in range(clients):
        total += quantiser.encode(values)
    error = np.abs(quantiser.decode(total) - clients * values)
    assert error.max() <= quantiser.error_bound(clients) + 1e-12 * clip * clients


def test_the_default_uses_the_whole_ring() -> None:
    assert Quantiser(1.0, 1, 32).fraction_bits == 30
    assert Quantiser(8.0, 10, 32).fraction_bits == 24
    assert Quantiser(8.0, 10, 64).fraction_bits == 52
    Quantiser(8.0, 10, 32, fraction_bits=24)
    with pytest.raises(RangeExceeded):
        Quantiser(8.0, 10, 32, fraction_bits=25)


def test_one_bit_more_would_wrap() -> None:
    """The broken variant: without the check, ten clients at the clip come out negative."""
    quantiser = Quantiser(8.0, 10, 32)
    quantiser.fraction_bits += 1
    total = np.zeros(1, dtype=quantiser.dtype)
    for _ in range(10):
        total += quantiser.encode([8.0])
    assert quantiser.decode(total)[0] < 0


def test_what_the_ring_cannot_hold_is_refused() -> None:
    quantiser = Quantiser(1.0, 3)
    for bad in ([1.0000001], [-2.0], [float("nan")], [float("inf")], [0.0, float("nan"), 0.0]):
        with pytest.raises(RangeExceeded):
            quantiser.encode(bad)
    for clip, clients, bits in (
        (0, 1, 32),
        (-1, 1, 32),
        (float("nan"), 1, 32),
        (1, 0, 32),
        (1, 1, 16),
        (2.0**40, 2, 32),
    ):
        with pytest.raises(RangeExceeded):
            Quantiser(clip, clients, bits)
    assert quantiser.encode([]).shape == (0,)


def test_long_arrays_are_encoded_in_place() -> None:
    quantiser = Quantiser(4.0, 5, 64)
    values = np.linspace(-4, 4, 100_001)
    out = np.empty(len(values), dtype=quantiser.dtype)
    assert quantiser.encode(values, out) is out
    np.testing.assert_allclose(quantiser.decode(out), values, atol=quantiser.error_bound(1))
