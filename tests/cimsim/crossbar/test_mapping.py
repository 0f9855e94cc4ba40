"""Weight schemes: what they write is what they read back, and pulses move weights as asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cimsim.crossbar.mapping import MOST_BITS, BitSlices, DifferentialPair, OffsetColumn, WeightScheme
from device_models.errors import InputError
from device_models.parameters import ParameterError
from device_models.streams import Streams
from device_models.window import Window

WINDOW = Window(g_min=2e-6, g_max=1e-4)

weights = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.floats(-1, 1))
subtractions = st.sampled_from(["analog", "digital"])
sizes = st.tuples(st.integers(1, 16), st.integers(1, 8)).filter(lambda size: size[0] * size[1] <= MOST_BITS)
slices = st.builds(
    lambda size, how, add: BitSlices(slices=size[0], bits=size[1], subtract=how, add=add),
    sizes,
    subtractions,
    subtractions,
)
schemes = st.one_of(st.builds(DifferentialPair, subtract=subtractions), st.just(OffsetColumn()), slices)


def decoded(scheme: WeightScheme, g: np.ndarray, window: Window = WINDOW) -> np.ndarray:
    """What conductances `(arrays, rows, columns)` mean: each row's currents, mixed and collected, in whole windows."""
    signals = np.einsum("sa,arc->rsc", scheme.analog(), g)
    return scheme.collect(signals) / window.span


def random_weights(*shape: int) -> np.ndarray:
    return Streams(1).rng("weights").uniform(-1, 1, shape)


@given(weights, st.one_of(st.builds(DifferentialPair, subtract=subtractions), st.just(OffsetColumn())))
def test_what_is_written_is_read_back(w: np.ndarray, scheme: WeightScheme) -> None:
    np.testing.assert_allclose(decoded(scheme, scheme.targets(w, WINDOW)), w, atol=1e-12)


@given(weights, slices)
def test_slices_read_back_the_weight_rounded_to_their_bits(w: np.ndarray, scheme: BitSlices) -> None:
    top = 2 ** (scheme.slices * scheme.bits) - 1
    read = decoded(scheme, scheme.targets(w, WINDOW))
    np.testing.assert_allclose(read, np.sign(w) * np.rint(np.abs(w) * top) / top, atol=3e-7)


@given(weights, slices)
def test_digits_of_slices_are_those_of_the_whole_number(w: np.ndarray, scheme: BitSlices) -> None:
    """Plus and minus array of each slice, least significant first; exact in integers."""
    g = scheme.targets(w, WINDOW)
    digits = np.rint((g - WINDOW.g_min) / WINDOW.span * (2**scheme.bits - 1)).astype(object)
    worth = [2 ** (scheme.bits * s) for s in range(scheme.slices)]
    plus, minus = (sum(k * d for k, d in zip(worth, digits[sign::2], strict=True)) for sign in (0, 1))
    whole = np.rint(np.abs(w) * (2 ** (scheme.slices * scheme.bits) - 1)).astype(np.int64)
    assert (plus - minus == np.where(w < 0, -1, 1) * whole).all()


@given(weights, schemes)
def test_targets_lie_in_the_window(w: np.ndarray, scheme: WeightScheme) -> None:
    g = scheme.targets(w, WINDOW)
    assert g.min() >= WINDOW.g_min
    assert g.max() <= WINDOW.g_max * (1 + 1e-12)


@given(weights, st.one_of(st.builds(DifferentialPair, subtract=subtractions), slices))
def test_of_a_pair_one_cell_is_always_at_the_bottom(w: np.ndarray, scheme: WeightScheme) -> None:
    g = scheme.targets(w, WINDOW)
    assert (np.minimum(g[0::2], g[1::2]) == WINDOW.g_min).all()
    assert (g[0::2][:, w <= 0] == WINDOW.g_min).all()
    assert (g[1::2][:, w >= 0] == WINDOW.g_min).all()


def test_full_weights_take_the_whole_window() -> None:
    w = np.array([[1.0, -1.0]])
    lo, hi = WINDOW.g_min, WINDOW.g_max
    np.testing.assert_allclose(DifferentialPair().targets(w, WINDOW), [[[hi, lo]], [[lo, hi]]])
    np.testing.assert_allclose(OffsetColumn().targets(w, WINDOW), [[[hi, lo, (lo + hi) / 2]]])
    np.testing.assert_allclose(BitSlices(slices=1, bits=2).targets(w, WINDOW), [[[hi, lo]], [[lo, hi]]])


@given(weights, schemes, st.floats(-1e-5, 1e-5))
def test_what_is_common_to_all_cells_cancels(w: np.ndarray, scheme: WeightScheme, common: float) -> None:
    g = scheme.targets(w, WINDOW)
    np.testing.assert_allclose(decoded(scheme, g + common), decoded(scheme, g), atol=3e-7)


@given(weights, st.integers(2, 64), st.builds(DifferentialPair, subtract=subtractions) | st.just(OffsetColumn()))
def test_levels_cost_at_most_half_a_level(w: np.ndarray, levels: int, scheme: WeightScheme) -> None:
    """The reference column of the offset scheme is itself rounded to a level."""
    window = WINDOW.replace(levels=levels)
    cells = 2 if isinstance(scheme, OffsetColumn) else 1
    bound = cells * scheme.cell_worth() * 0.5 / (levels - 1)
    assert np.abs(decoded(scheme, scheme.targets(w, window), window) - w).max() <= bound + 1e-12


@pytest.mark.parametrize("levels", [2, 4, 31])
def test_every_target_is_a_level(levels: int) -> None:
    window = WINDOW.replace(levels=levels)
    for scheme in (DifferentialPair(), OffsetColumn(), BitSlices(slices=3, bits=1)):
        g = scheme.targets(random_weights(20, 20), window)
        assert np.abs(g[..., None] - window.level_values()).min(axis=-1).max() < 1e-18


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_slices_need_as_many_levels_as_a_digit_has_values(bits: int) -> None:
    scheme = BitSlices(slices=2, bits=bits)
    for levels in (None, 2**bits):
        scheme.check(WINDOW.replace(levels=levels))
    if bits > 1:
        with pytest.raises(InputError, match=rf"BitSlices.bits: digits of {bits} bits need {2**bits} levels, got .*;"):
            scheme.check(WINDOW.replace(levels=2**bits - 1))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_with_a_level_for_every_digit_slices_lose_nothing_to_levels(bits: int) -> None:
    scheme, w = BitSlices(slices=3, bits=bits), random_weights(9, 9)
    window = WINDOW.replace(levels=2**bits)
    np.testing.assert_allclose(scheme.targets(w, window), scheme.targets(w, WINDOW), rtol=1e-12)


def test_slices_beyond_exact_whole_numbers_are_refused() -> None:
    assert BitSlices(slices=13, bits=4).top == 2**52 - 1
    with pytest.raises(
        ParameterError, match=r"BitSlices: slices x bits must be at most 52 bits, got 14 x 4; use fewer"
    ):
        BitSlices(slices=14, bits=4)


@pytest.mark.parametrize(
    ("scheme", "arrays_per_tile", "signals"),
    [
        (DifferentialPair(), 2, 1),
        (DifferentialPair(subtract="digital"), 2, 2),
        (OffsetColumn(), 1, 1),
        (BitSlices(slices=3, bits=2), 6, 3),
        (BitSlices(slices=3, bits=2, subtract="digital"), 6, 6),
        (BitSlices(slices=3, bits=2, add="analog"), 6, 1),
        (BitSlices(slices=3, bits=2, subtract="digital", add="analog"), 6, 2),
    ],
)
def test_signals_and_arrays(scheme: WeightScheme, arrays_per_tile: int, signals: int) -> None:
    assert scheme.analog().shape == (signals, arrays_per_tile)
    assert len(scheme.targets(random_weights(4, 3), WINDOW)) == arrays_per_tile
    factors = set(np.unique(np.abs(scheme.analog())))
    assert factors <= ({3 / 63, 12 / 63, 48 / 63, 0.0} if signals < 3 and arrays_per_tile == 6 else {0.0, 1.0})


@given(st.integers(2, 256), schemes)
def test_the_columns_of_a_tile_hold_that_many_outputs(physical: int, scheme: WeightScheme) -> None:
    outputs = scheme.data_columns(physical)
    assert scheme.targets(np.zeros((1, outputs)), WINDOW).shape[2] == physical
    assert outputs == physical - isinstance(scheme, OffsetColumn)


counts = arrays(np.int64, (3, 4), elements=st.integers(-20, 20))
rooms = arrays(np.float64, (2, 3, 4), elements=st.integers(0, 30).map(float))


@given(counts, rooms)
def test_pulses_to_a_pair_move_the_weight_by_the_count(n: np.ndarray, room: np.ndarray) -> None:
    pulses = DifferentialPair().pulses(n, room)
    assert pulses.dtype == np.int64
    assert (pulses[0] - pulses[1] == n).all()


@given(counts, rooms)
def test_pulses_lower_the_opposite_cell_before_they_raise_the_weights_own(n: np.ndarray, room: np.ndarray) -> None:
    pulses = DifferentialPair().pulses(n, room)
    opposite = np.where(n > 0, -pulses[1], -pulses[0])
    own = np.where(n > 0, pulses[0], pulses[1])
    assert (opposite == np.minimum(np.abs(n), np.where(n > 0, room[1], room[0]))).all()
    assert (own == np.abs(n) - opposite).all()
    assert (own >= 0).all()


@given(counts)
def test_pulses_to_an_offset_cell_are_the_count_and_leave_the_reference_alone(n: np.ndarray) -> None:
    pulses = OffsetColumn().pulses(n, np.zeros((1, 3, 5)))
    assert (pulses == np.concatenate([n, np.zeros((3, 1), np.int64)], axis=1)[None]).all()


def test_a_cell_across_the_window_is_worth_as_much_as_the_scheme_says() -> None:
    for scheme, change in ((DifferentialPair(), 1.0), (OffsetColumn(), 2.0)):
        g = scheme.targets(np.array([[-1.0]]), WINDOW)
        raised = g.copy()
        raised[0, 0, 0] += WINDOW.span
        assert decoded(scheme, raised) - decoded(scheme, g) == pytest.approx(change)
        assert scheme.cell_worth() == change


def test_slices_have_no_rule_for_pulses() -> None:
    message = "BitSlices: has no rule for pulsing its cells; train on the chip with DifferentialPair or OffsetColumn"
    with pytest.raises(InputError, match=message):
        BitSlices().pulses(np.ones((1, 1)), np.ones((8, 1, 1)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BitSlices(slices=0), r"BitSlices\.slices: must be greater than or equal to 1, got 0"),
        (lambda: BitSlices(bits=9), r"BitSlices\.bits: must be less than or equal to 8, got 9"),
        (lambda: DifferentialPair(subtract="neither"), r"subtract: must be 'analog' or 'digital', got 'neither'"),
        (lambda: OffsetColumn(**{"bits": 2}), "unknown name, got 'bits'"),
    ],
)
def test_impossible_schemes_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()
