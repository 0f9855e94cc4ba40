"""Wire resistance against circuits solved by hand, an independent nodal analysis and the laws of linear networks."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from cimsim.crossbar.wires import Wires, effective_conductance, node_voltages
from cimsim.crossbar.wires.nodal import nodal_conductance
from cimsim.kernels import parts
from device_models.errors import InputError, ParameterError
from device_models.streams import Streams
from tests.foreign import ForeignArray

Floats = NDArray[np.float64]

OHMS = st.sampled_from([0.0, 0.05, 1.0, 30.0, 2000.0])
ENDS = st.sampled_from(["left", "both"])
WIRES = st.builds(Wires, word=OHMS, bit=OHMS, source=OHMS, sense=OHMS, drive=ENDS)
OHMS_OF = ("word", "bit", "source", "sense")
SIEMENS = st.sampled_from([0.0, 1e-9, 1e-6, 2e-5, 1e-4, 1e-3])
ARRAYS = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=SIEMENS)


def random_cells(*shape: int) -> Floats:
    return Streams(seed=3).rng("cells").uniform(1e-6, 1e-4, shape)


def tableau(g: NDArray[Any], wires: Wires, zero: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Kirchhoff's equations `a @ unknowns = b` of an array, one column of `b` per driver at 1 V.

    Unknowns: voltages of word and bit nodes, currents of word and bit segments, and from drivers at the right end;
    each wire is one equation `V_from - V_to - R I = 0`, so zero resistances need no special case, but where both ends
    of a word line are driven (set word > 0 there). Numbers are of the type of `zero`.
    """
    rows, cols = g.shape
    one = zero + 1
    i_right, v_word, v_bit, i_word, i_bit = np.split(np.arange(rows + 4 * g.size), rows + g.size * np.arange(4))
    v_word, v_bit, i_word, i_bit = (n.reshape(rows, cols) for n in (v_word, v_bit, i_word, i_bit))
    a = np.full((rows + 4 * g.size,) * 2, zero)
    b = np.full((rows + 4 * g.size, rows), zero)
    a[i_right, i_right] = one
    for r in range(rows) if wires.both else ():
        a[i_right[r], [v_word[r, -1], i_right[r]]] = -one, -(zero + wires.word + wires.source)
        b[i_right[r], r] = -one
        a[v_word[r, -1], i_right[r]] = one
    for (r, c), siemens in np.ndenumerate(g):
        at_word, at_bit, along_word, along_bit = (n[r, c] for n in (v_word, v_bit, i_word, i_bit))
        a[at_word, [along_word, at_word, at_bit]] = one, -siemens, siemens
        a[at_bit, [along_bit, at_word, at_bit]] = -one, siemens, -siemens
        a[along_word, [at_word, along_word]] = -one, -(zero + wires.word)
        a[along_bit, [at_bit, along_bit]] = one, -(zero + wires.bit)
        if c + 1 < cols:
            a[at_word, i_word[r, c + 1]] = -one
        if r > 0:
            a[at_bit, i_bit[r - 1, c]] = one
        if c > 0:
            a[along_word, v_word[r, c - 1]] = one
        else:
            b[along_word, r] = -one
            a[along_word, along_word] -= wires.source
        if r + 1 < rows:
            a[along_bit, v_bit[r + 1, c]] = -one
        else:
            a[along_bit, along_bit] -= wires.sense
    return a, b


def by_kirchhoff(g: Floats, wires: Wires) -> Floats:
    """The effective conductance by a dense solution of Kirchhoff's equations."""
    unknowns = np.linalg.solve(*tableau(g, wires, 0.0))
    return unknowns[-g.shape[1] :].T


def by_fractions(g: Floats, wires: Wires) -> Floats:
    """The same in exact rational arithmetic, by Gaussian elimination."""
    exact = np.vectorize(Fraction, otypes=[object])(g)
    a, b = tableau(exact, wires.model_copy(update={k: Fraction(getattr(wires, k)) for k in OHMS_OF}), Fraction(0))
    m = np.hstack([a, b])
    for k in range(len(m)):
        pivot = next(row for row in range(k, len(m)) if m[row, k])
        m[[k, pivot]] = m[[pivot, k]]
        m[k] = m[k] / m[k, k]
        for row in (r for r in range(len(m)) if r != k and m[r, k]):
            m[row] = m[row] - m[row, k] * m[k]
    return m[-g.shape[1] :, len(m) :].T.astype(float)


def test_one_cell_is_five_resistors_in_series() -> None:
    g_eff = effective_conductance([[1e-4]], Wires(word=1.0, bit=2.0, source=30.0, sense=400.0))
    assert g_eff == pytest.approx(np.array([[1 / (1 + 2 + 30 + 400 + 1e4)]]), rel=1e-13)


def test_two_cells_on_a_word_line_by_hand() -> None:
    """1 kohm cells, 100 ohm word segments: the far cell sees 1100 ohm, parallel to the near one behind 100 ohm."""
    near = 1 / (1 / 1000 + 1 / 1100)
    v_near = near / (100 + near)
    g_eff = effective_conductance([[1e-3, 1e-3]], Wires(word=100.0))
    np.testing.assert_allclose(g_eff, [[v_near / 1000, v_near / 1100]], rtol=1e-13)


def test_two_cells_on_a_bit_line_by_hand() -> None:
    """1 kohm cells, 100 ohm bit segments. Each driver alone: the other cell leads back to a grounded driver."""
    upper_out = 100 + 1 / (1 / 1000 + 1 / 100)
    upper = 1 / (1000 + upper_out) * 1000 / 1100
    below = 1 / (1 / 100 + 1 / 1100)
    lower = below / (1000 + below) / 100
    np.testing.assert_allclose(
        effective_conductance([[1e-3], [1e-3]], Wires(bit=100.0)), [[upper], [lower]], rtol=1e-13
    )


def test_voltages_of_one_cell_by_hand() -> None:
    wires = Wires(word=100.0, bit=200.0, source=300.0, sense=400.0)
    v_word, v_bit = node_voltages([[1e-3]], wires, [2.0])
    assert v_word == pytest.approx(np.array([[2 - 2 * 400 / 2000]]), rel=1e-13)
    assert v_bit == pytest.approx(np.array([[2 * 600 / 2000]]), rel=1e-13)


def test_a_word_line_is_a_ladder() -> None:
    """Equal cells on one word line: the voltage is that of a discrete line, 2 cosh(t) = 2 + r g, open at its end."""
    n, g, r = 100, 1e-4, 5.0
    t = np.arccosh(1 + r * g / 2)
    volts = np.cosh((n - np.arange(1, n + 1) + 0.5) * t) / np.cosh((n + 0.5) * t)
    np.testing.assert_allclose(effective_conductance(np.full((1, n), g), Wires(word=r))[0], g * volts, rtol=1e-12)
    np.testing.assert_allclose(effective_conductance(np.full((n, 1), g), Wires(bit=r))[::-1, 0], g * volts, rtol=1e-12)


@given(ARRAYS, WIRES)
def test_agrees_with_kirchhoffs_equations(g: Floats, wires: Wires) -> None:
    assume(not wires.both or wires.word + wires.source > 0)
    np.testing.assert_allclose(effective_conductance(g, wires), by_kirchhoff(g, wires), rtol=1e-8, atol=1e-16)


@pytest.mark.parametrize("ohms", [1e-6, 1.0, 1e9])
def test_every_element_is_accurate_against_exact_arithmetic(ohms: float) -> None:
    g = np.array([[1e-9, 1e-3, 0.0], [1e-3, 1e-9, 1e-6]])
    wires = Wires(word=ohms, bit=1.0, source=ohms, sense=3.0)
    np.testing.assert_allclose(effective_conductance(g, wires), by_fractions(g, wires), rtol=1e-12)


SHAPES = [(1, 1), (1, 40), (40, 1), (16, 16), (17, 33), (100, 37), (48, 80)]


@pytest.mark.parametrize("drive", ["left", "both"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ohms", [1e-3, 1.0, 1e3])
def test_every_element_agrees_with_sparse_lu(shape: tuple[int, int], ohms: float, drive: Any) -> None:
    """On/off ratio 1e6, 5 % of the cells stuck open and 5 % shorted."""
    rng = Streams(seed=9).rng("cells")
    g = rng.choice([1e-3, 1e-9, 0.0, 1e-1], p=[0.45, 0.45, 0.05, 0.05], size=shape)
    for wires in (
        Wires(word=ohms, bit=ohms, drive=drive),
        Wires(word=ohms, bit=2.0, source=50.0, sense=9.0, drive=drive),
    ):
        np.testing.assert_allclose(effective_conductance(g, wires), nodal_conductance(g, wires), rtol=1e-10)


@given(ARRAYS, WIRES)
def test_agrees_with_sparse_lu_whichever_wires_resist(g: Floats, wires: Wires) -> None:
    np.testing.assert_allclose(effective_conductance(g, wires), nodal_conductance(g, wires), rtol=1e-10, atol=1e-25)


def test_driven_from_both_ends_a_word_line_of_one_cell_has_two_ways_to_it() -> None:
    wires = Wires(word=100.0, source=50.0, bit=10.0, drive="both")
    assert effective_conductance([[1e-3]], wires) == pytest.approx(np.array([[1 / (75 + 1000 + 10)]]), rel=1e-13)


@given(ARRAYS, WIRES)
def test_driving_both_ends_never_lowers_the_total_current_of_equal_inputs(g: Floats, wires: Wires) -> None:
    left, both = (effective_conductance(g, wires.replace(drive=drive)).sum() for drive in ("left", "both"))
    assert both >= left * (1 - 1e-12)


@given(ARRAYS, WIRES)
@settings(max_examples=50)
def test_arrays_of_another_library_are_solved_where_they_live(g: Floats, wires: Wires) -> None:
    there = effective_conductance(ForeignArray(g), wires)
    assert isinstance(there, ForeignArray)
    np.testing.assert_allclose(there.get(), effective_conductance(g, wires), rtol=1e-12, atol=1e-25)


@pytest.mark.parametrize("shape", [(2, 3, 17, 21), (40, 19), (0, 4, 4)])
def test_stacks_of_another_library_too(shape: tuple[int, ...]) -> None:
    g, wires = random_cells(*shape), Wires(word=3.0, bit=1.0, sense=8.0)
    there = effective_conductance(ForeignArray(g), wires)
    np.testing.assert_allclose(there.get(), effective_conductance(g, wires), rtol=1e-12)


def test_turned_round_an_array_of_wires_worse_than_its_cells_gives_the_same_to_rounding() -> None:
    """Another order of elimination. A sparse LU of this array is wrong by 1e-10."""
    g, wires = np.full((40, 40), 1e-3), Wires(word=1e6, bit=1e6)
    back = effective_conductance(g[::-1, ::-1].T, wires)[::-1, ::-1].T
    np.testing.assert_allclose(effective_conductance(g, wires), back, rtol=1e-13)


@given(ARRAYS)
def test_without_resistance_the_matrix_is_the_cells_exactly(g: Floats) -> None:
    assert np.array_equal(effective_conductance(g, Wires()), g)


@given(ARRAYS, WIRES)
def test_reciprocity(g: Floats, wires: Wires) -> None:
    """Driven at the sensed ends and sensed at the drivers, the array gives the transpose."""
    wires = wires.replace(drive="left")
    turned = Wires(word=wires.bit, bit=wires.word, source=wires.sense, sense=wires.source)
    back = effective_conductance(g[::-1, ::-1].T, turned)[::-1, ::-1].T
    np.testing.assert_allclose(effective_conductance(g, wires), back, rtol=1e-11)


@given(ARRAYS, WIRES)
def test_sums_over_either_side_never_exceed_those_of_the_cells(g: Floats, wires: Wires) -> None:
    g_eff = effective_conductance(g, wires)
    assert (g_eff >= 0).all()
    for axis in (0, 1):
        assert (g_eff.sum(axis) <= g.sum(axis) * (1 + 1e-12)).all()


@given(ARRAYS, OHMS, OHMS)
def test_on_one_side_alone_resistance_lowers_every_element(g: Floats, segment: float, end: float) -> None:
    for wires in (Wires(word=segment, source=end), Wires(bit=segment, sense=end)):
        assert (effective_conductance(g, wires) <= g * (1 + 1e-12)).all()


def test_on_both_sides_a_sneak_path_conducts_past_an_open_cell() -> None:
    g = np.array([[0.0, 1e-3], [1e-3, 1e-3]])
    assert effective_conductance(g, Wires(word=10.0, bit=10.0))[0, 0] > 1e-8


@given(ARRAYS, WIRES, st.sampled_from(["word", "bit", "source", "sense"]))
def test_more_resistance_never_raises_the_total_current_of_equal_inputs(g: Floats, wires: Wires, name: str) -> None:
    """Rayleigh's monotonicity law: between the joined drivers and ground the network is one conductance."""
    more = wires.replace(**{name: getattr(wires, name) + 5.0})
    assert effective_conductance(g, more).sum() <= effective_conductance(g, wires).sum() * (1 + 1e-12)


def test_more_source_resistance_can_raise_the_current_of_unequal_inputs() -> None:
    """A grounded driver drains its bit line; less so behind a resistance. So the law above needs equal inputs."""
    g, v = [[1e-6], [1e-2]], np.array([1.0, 0.0])
    little = v @ effective_conductance(g, Wires(sense=1e4))
    assert v @ effective_conductance(g, Wires(sense=1e4, source=1e3)) > 5 * little


@given(ARRAYS, WIRES)
def test_only_the_product_of_resistance_and_conductance_matters(g: Floats, wires: Wires) -> None:
    tenfold = wires.replace(**{name: 10 * getattr(wires, name) for name in OHMS_OF})
    np.testing.assert_allclose(effective_conductance(g / 10, tenfold), effective_conductance(g, wires) / 10, rtol=1e-11)


def test_small_resistance_lowers_currents_in_proportion_and_as_perturbation_says() -> None:
    """To first order each segment carries its ideal current, and each cell loses g times the drops on its way."""
    g, v = random_cells(7, 5), np.linspace(0.05, 0.2, 7)
    ideal = v[:, None] * g
    along_word = ideal[:, ::-1].cumsum(1)[:, ::-1]
    along_bit = ideal.cumsum(0)
    slope = (g * (along_word.cumsum(1) + along_bit[::-1].cumsum(0)[::-1])).sum(0)
    for ohms in (1e-3, 1e-2):
        lost = (ideal.sum(0) - v @ effective_conductance(g, Wires(word=ohms, bit=ohms))) / ohms
        np.testing.assert_allclose(lost, slope, rtol=ohms)


def test_a_stack_is_its_arrays_one_by_one() -> None:
    g, wires = random_cells(2, 3, 5, 4), Wires(word=10.0, bit=20.0, sense=5.0)
    stacked = effective_conductance(g, wires)
    assert stacked.shape == g.shape
    for place in np.ndindex(2, 3):
        assert np.array_equal(stacked[place], effective_conductance(g[place], wires))
    assert effective_conductance(np.empty((0, 5, 4)), wires).shape == (0, 5, 4)


@given(WIRES)
@settings(max_examples=30)
def test_voltages_of_a_batch_on_a_stack_drive_the_currents(wires: Wires) -> None:
    g, v = random_cells(3, 6, 4), Streams(seed=5).rng("volts").random((2, 6))
    v_word, v_bit = node_voltages(g, wires, v)
    assert v_word.shape == v_bit.shape == (2, 3, 6, 4)
    through = (g * (v_word - v_bit)).sum(-2)
    np.testing.assert_allclose(through, np.einsum("br,src->bsc", v, effective_conductance(g, wires)), rtol=1e-10)
    np.testing.assert_allclose(v_word[1, 2], node_voltages(g[2], wires, v[1])[0], rtol=1e-13)


def test_many_columns_are_solved_in_several_blocks() -> None:
    g, wires = random_cells(66, 70), Wires(word=1.0, bit=0.5)
    v = np.eye(66)[[0, 63, 64, 65]]
    v_word, v_bit = node_voltages(g, wires, v)
    expected = (g * (v_word - v_bit)).sum(-2)
    np.testing.assert_allclose(v @ effective_conductance(g, wires), expected, rtol=1e-9)


def test_a_long_stack_is_solved_in_parts() -> None:
    g, wires = random_cells(9, 100, 100), Wires(word=1.0, bit=2.0)
    stacked = effective_conductance(g, wires)
    for k in (0, 4, 8):
        np.testing.assert_allclose(stacked[k], effective_conductance(g[k], wires), rtol=1e-13)


def test_the_number_of_cores_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    g, wires = random_cells(300, 290), Wires(word=1.0, bit=2.0)
    expected = effective_conductance(g, wires)
    monkeypatch.setattr(parts, "available_cores", lambda: 1)
    with threadpool_limits(1):
        assert np.array_equal(effective_conductance(g, wires), expected)


def test_single_precision_cells_are_solved_in_double() -> None:
    g = random_cells(4, 4).astype(np.float32)
    g_eff = effective_conductance(g, Wires(word=1.0))
    assert g_eff.dtype == np.float64
    assert np.array_equal(g_eff, effective_conductance(g.astype(np.float64), Wires(word=1.0)))


def test_the_result_for_ideal_wires_is_a_copy() -> None:
    g = random_cells(2, 2)
    assert not np.shares_memory(effective_conductance(g, Wires()), g)


@pytest.mark.parametrize(
    ("g", "message"),
    [
        ([1e-6, 1e-6], r"g: must be \(\.\.\., rows, cols\) with at least one of each, got \(2,\)"),
        (np.empty((0, 3)), r"with at least one of each, got \(0, 3\)"),
        ([[1e-6, np.nan]], "g: must be finite, in siemens, got 1 of 2"),
        ([[1e-6, np.inf]], "must be finite"),
        ([[1e-6, -1e-6]], "g: must be 0 siemens or more, got .*-1e-06.*; solve each array of a differential pair"),
        ([[1e-6 + 1j]], "g: must be real numbers in siemens"),
        ([["a"]], "g: must be real numbers in siemens"),
    ],
)
def test_bad_conductances_are_refused(g: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        effective_conductance(g, Wires(word=1.0))
    with pytest.raises(InputError, match=message):
        node_voltages(g, Wires(), [1.0])


@pytest.mark.parametrize(
    ("v", "message"),
    [
        ([1.0, 1.0], r"v: must be \(\.\.\., 3\), one voltage per word line, got \(2,\)"),
        (1.0, r"v: must be \(\.\.\., 3\)"),
        ([1.0, np.nan, 1.0], "v: must be finite, in volts, got 1 of 3"),
    ],
)
def test_bad_voltages_are_refused(v: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        node_voltages(random_cells(3, 2), Wires(), v)


def test_wires_are_strict_and_know_whether_they_are_ideal() -> None:
    assert Wires().ideal
    assert not any(Wires(**{name: 1.0}).ideal for name in ("word", "bit", "source", "sense"))
    with pytest.raises(ParameterError, match=r"Wires\.word: must be in ohms"):
        Wires(word=-1.0)
    with pytest.raises(ParameterError, match="did you mean 'sense'"):
        Wires(**{"sens": 1.0})
    with pytest.raises(ParameterError, match=r"Wires\.drive"):
        Wires(**{"drive": "right"})
