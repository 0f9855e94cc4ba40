"""A layer that learns by spike timing: by the compiled loop as through the chip itself, and what it finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cimsim as cim
from cimsim.crossbar.mapping import OffsetColumn, WeightScheme
from cimsim.crossbar.single import SingleCell
from cimsim.learning.plasticity import Competition, Homeostasis, Plastic, RectangularSTDP, present, stdp
from cimsim.learning.plasticity.synapses import follows
from device_models.device import Device
from device_models.errors import InputError
from device_models.faults import CellFaults
from device_models.read_noise import OneOverFNoise, ProportionalNoise
from device_models.retention import LogTimeRelaxation
from device_models.streams import Streams
from device_models.update import DecayingStepUpdate, ExponentialUpdate, LinearUpdate, PowerStepUpdate, Update
from device_models.window import Window

WINDOW = Window(g_min=1e-6, g_max=1e-4)
LAW = DecayingStepUpdate(step_up=0.05, step_down=0.025, beta_up=3.0, beta_down=3.0)
FAULTS = CellFaults(stuck_lrs=0.02, stuck_hrs=0.02, spread_g_min=0.1, spread_g_max=0.1)
SETTINGS: dict[str, Any] = {"steps": 40, "rate": 60.0, "homeostasis": Homeostasis(step=0.02, wins=3.0)}


def spec(update: Update | None = LAW, weights: WeightScheme | None = None, **slots: Any) -> cim.ChipSpec:
    device = Device(name="d", window=WINDOW, update=update, **slots)
    return cim.ChipSpec(device=device, weights=weights or SingleCell(), tile=(16, 8))


def patterns(n: int, classes: int = 4, pixels: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Samples of classes that light a quarter of the pixels each, a tenth of all pixels flipped."""
    rng = Streams(seed).rng("patterns")
    y = rng.integers(classes, size=n)
    lit = np.arange(pixels)[None] * classes // pixels == y[:, None]
    return (lit ^ (rng.random(lit.shape) < 0.1)).astype(np.float32), y


def cells_of(chip: cim.Chip, name: str) -> np.ndarray:
    matrix = chip.matrices[0].copies[0]
    return np.concatenate([np.ravel(getattr(matrix.tiles[p].cells, name)) for p in matrix.places])


def through_the_chip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(present, "follows", lambda chip, matrix: False)


@pytest.mark.parametrize("weights", [SingleCell(), OffsetColumn()])
@pytest.mark.parametrize(
    "law", [LAW, ExponentialUpdate(pulses_up=20, pulses_down=30, nl_up=1.5, nl_down=-2.0), LinearUpdate(step_size=3e-6)]
)
def test_the_compiled_loop_does_what_the_chip_does(
    law: Update, weights: WeightScheme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against `Device.pulse` and the chip's own product, spike by spike."""
    x, _ = patterns(5)
    rule = RectangularSTDP(set_pulses=1, reset_pulses=1)
    chip = cim.program(_net(40, 10), spec(law, weights, faults=FAULTS), seed=2)
    (one, history), made = stdp(chip, x, rule=rule, seed=2, **SETTINGS), chip.matrices[0].copies[0]
    assert follows(chip, made)
    through_the_chip(monkeypatch)
    other, again = stdp(chip, x, rule=rule, seed=2, **SETTINGS)
    assert history["wins"][0] > 1
    np.testing.assert_allclose(one.thresholds, other.thresholds, rtol=1e-12)
    np.testing.assert_allclose(cells_of(one.chip, "g"), cells_of(other.chip, "g"), rtol=1e-6)
    np.testing.assert_array_equal(cells_of(one.chip, "pulses"), cells_of(other.chip, "pulses"))
    np.testing.assert_allclose(history.to_numpy(float), again.to_numpy(float), rtol=1e-9)


def _net(inputs: int, outputs: int) -> cim.Network:
    w = Streams(1).rng("w").random((inputs, outputs), dtype=np.float32)
    return cim.mlp([inputs, outputs]).with_weights([(w, np.zeros(outputs, np.float32))])


@pytest.fixture(scope="module")
def layer() -> Plastic:
    x, y = patterns(1500)
    made, _ = stdp(spec(faults=FAULTS), x, y, outputs=8, seed=1, **SETTINGS)
    return made


def test_neurons_find_the_classes(layer: Plastic) -> None:
    x, y = patterns(400, seed=9)
    assert cim.accuracy(layer, x, y, seed=3) > 0.95
    assert layer.n_out == 4
    assert set(layer.labels if layer.labels is not None else ()) == {0, 1, 2, 3}


def test_receptive_fields_become_the_patterns(layer: Plastic) -> None:
    """Weights follow the odds: high where the class is lit, low elsewhere, stuck cells aside in the mean."""
    assert layer.labels is not None
    lit = np.arange(40)[None] // 10 == layer.labels[:, None]
    fields = layer.receptive_fields
    assert fields[lit].mean() > 0.75 * WINDOW.g_max / WINDOW.span
    assert fields[~lit].mean() < 0.3


def test_stuck_cells_stay_where_they_are() -> None:
    x, _ = patterns(100)
    chip = cim.program(_net(40, 10), spec(faults=FAULTS), seed=2)
    after = stdp(chip, x, **SETTINGS)[0].chip
    stuck = cells_of(chip, "stuck") != 0
    assert stuck.sum() > 5
    np.testing.assert_array_equal(cells_of(after, "g")[stuck], cells_of(chip, "g")[stuck])
    assert (cells_of(after, "pulses")[stuck] == cells_of(chip, "pulses")[stuck]).all()
    assert (cells_of(after, "g")[~stuck] != cells_of(chip, "g")[~stuck]).mean() > 0.9


def test_a_weight_settles_where_set_and_reset_balance() -> None:
    """p a+ exp(-b y) = (1 - p) a- exp(-b (1 - y)): y = 1/2 + ln(p a+ / ((1 - p) a-)) / (2 b), p the chance of a SET."""
    law = DecayingStepUpdate(step_up=0.004, step_down=0.004, beta_up=3.0, beta_down=3.0)
    chances = np.array([0.15, 0.35, 0.5, 0.8])
    raster = Streams(0).rng("raster").random((4000, 2, 400)) < np.repeat(chances, 100)
    settings = {"steps": 2, "duration": 2e-3, "homeostasis": None, "threshold": 0.5, "inhibition": 2e-3}
    rule = RectangularSTDP(window=1e-3 / 0.9)
    made, _ = stdp(spec(law), raster, outputs=1, rule=rule, **settings)
    y = (made.receptive_fields[0] * WINDOW.span - WINDOW.g_min) / WINDOW.span
    seen = 1 - (1 - chances) ** np.array([[1], [2]])  # a win in the first step sees one step, in the second two
    low, high = 0.5 + np.log(seen / (1 - seen)) / 6
    means = y.reshape(4, 100).mean(axis=1)
    assert (means > low - 0.02).all()
    assert (means < np.minimum(high, 1) + 0.02).all()


def test_homeostasis_makes_neurons_win_alike() -> None:
    x, _ = patterns(2000)
    made, history = stdp(spec(), x, outputs=8, every=500, seed=1, **SETTINGS)
    wins = made.wins(x).sum(axis=0) / len(x)
    assert history["wins"].iloc[-1] == pytest.approx(3.0, rel=0.05)
    assert wins.std() / wins.mean() < 0.25
    without, _ = stdp(spec(), x, outputs=8, seed=1, **SETTINGS | {"homeostasis": None})
    alone = without.wins(x).sum(axis=0)
    assert alone.std() / alone.mean() > 2 * wins.std() / wins.mean()


def test_the_same_seed_gives_the_same_layer_and_parts_do_not_matter() -> None:
    x, y = patterns(300)
    noisy = spec(LAW.replace(c2c=0.01), read_noise=ProportionalNoise(relative=0.05))
    one, _ = stdp(noisy, x, y, outputs=6, seed=4, **SETTINGS)
    other, rows = stdp(noisy, x, y, outputs=6, seed=4, every=70, **SETTINGS)
    np.testing.assert_array_equal(one.receptive_fields, other.receptive_fields)
    np.testing.assert_array_equal(rows["samples"], [70, 140, 210, 280, 300])
    np.testing.assert_array_equal(one.wins(x, seed=1)[200:210], other.wins(x, seed=1)[200:210])


def test_the_history_counts_what_was_sent() -> None:
    x, _ = patterns(200)
    rule = RectangularSTDP(set_pulses=2, reset_pulses=1)
    made, history = stdp(spec(), x, outputs=6, rule=rule, every=50, **SETTINGS)
    chip = cim.program(_net(40, 6), spec(), seed=0)
    written = cells_of(chip, "pulses").sum()  # one a cell
    received = cells_of(made.chip, "pulses").sum() - written
    assert history["pulses_up"].sum() + history["pulses_down"].sum() == received
    wins = (history["wins"] * 50).sum()
    assert history["cells_written"].sum() == pytest.approx(wins * 40)
    assert history["pulses_up"].sum() / 2 + history["pulses_down"].sum() == pytest.approx(wins * 40)


def test_pulsed_cells_start_to_drift_anew() -> None:
    retention = LogTimeRelaxation(
        times=[1.0, 1e4, 1e8], sigma=[[1e-6, 0.0, 0.0], [2e-6, 0.0, 0.0], [3e-6, 0.0, 0.0]], g_ref=1e-4
    )
    x, _ = patterns(100)
    chip = cim.program(_net(40, 6), spec(retention=retention), seed=0).age(1e6)
    after = stdp(chip, x, **SETTINGS)[0].chip.matrices[0].copies[0]
    for place, tile in after.tiles.items():
        before = chip.matrices[0].copies[0].tiles[place].cells
        pulsed = tile.cells.pulses > before.pulses
        assert pulsed.mean() > 0.5
        np.testing.assert_array_equal(tile.cells.seconds[pulsed], 0.0)
        assert tile.cells.trajectory is not None
        assert (tile.cells.trajectory[:, pulsed] != before.trajectory[:, pulsed]).all()
        np.testing.assert_array_equal(tile.cells.g[~pulsed], before.g[~pulsed])


@pytest.mark.parametrize(
    "made",
    [
        spec(weights=cim.DifferentialPair()),
        spec(PowerStepUpdate(step_size=3e-6)),
        spec(read_noise=OneOverFNoise(q=0.01, g_ref=1e-4)),
        spec().replace(adc=cim.ADC(bits=8)),
        spec().replace(wires=cim.Wires(word=1.0, bit=1.0)),
    ],
    ids=["pair", "power", "1/f", "adc", "wires"],
)
def test_any_chip_learns(made: cim.ChipSpec) -> None:
    x, y = patterns(14)
    rule = RectangularSTDP(set_pulses=2, reset_pulses=2)
    layer, history = stdp(made, x, y, outputs=4, rule=rule, seed=1, **SETTINGS)
    assert history["cells_written"][0] > 0
    lit = np.arange(40)[None] // 10 == (layer.labels if layer.labels is not None else 0)[:, None]
    assert layer.receptive_fields[lit].mean() > layer.receptive_fields[~lit].mean() + 0.05


def test_spikes_of_ones_own_are_taken_as_they_are() -> None:
    x, y = patterns(300)
    raster = Streams(0).rng("spikes").random((300, 40, 40)) < 0.3 * x[:, None]
    layer, _ = stdp(spec(), raster, y, outputs=8, **SETTINGS)
    assert cim.accuracy(layer, raster, y) > 0.9


def test_graded_wins_say_more_of_digits_than_labels_of_neurons_do() -> None:
    """Twelve neurons for ten digits: many stand for two or three of them."""
    (x, y), (x_test, y_test) = cim.datasets.load("digits")
    layer, _ = stdp(spec(), x, y, outputs=12, seed=1, **SETTINGS)
    by_label = cim.accuracy(layer, x_test, y_test)
    assert 0.4 < by_label < 0.8
    assert np.mean(layer.predict(x_test, graded=True) == y_test) > by_label + 0.03


X, Y = patterns(20)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.full((3, 40, 40), 2)}, r"spikes: must be 0 or 1, got 2\.0; encode the values first"),
        ({"x": X * 3}, r"x: must lie between 0 and 1"),
        ({"x": X[:, :30], "chip": "made"}, r"x: must have 40 features, got 30"),
        ({"x": np.zeros((3, 7, 40), bool)}, r"spikes: must have 40 steps, got 7"),
        ({"x": np.zeros((3, 40))}, r"stdp\.x: must make the neurons' potentials rise"),
        ({"y": Y[:5]}, r"y: must hold one label per sample"),
        ({"outputs": None}, r"stdp\.outputs: must be given with a design"),
        ({"epochs": 0}, r"stdp\.epochs: must be an integer, 1 or more, got 0"),
        ({"chip": spec(None)}, r"device 'd': has no pulse response \(its update slot is empty\)"),
        (
            {"chip": spec(LinearUpdate(step_size=1e-6, asymmetry=1.0))},
            r"RectangularSTDP: needs depression \(RESET\), which no pulse to 'd' does; send none",
        ),
        ({"chip": spec(weights=cim.BitSlices())}, r"BitSlices: has no rule for pulsing its cells"),
        ({"chip": WINDOW}, r"stdp\.chip: must be a Chip, a ChipSpec or a Plastic, got Window"),
        ({"rule": 3}, r"stdp\.rule: must be a RectangularSTDP, got int; use cim\.plasticity"),
        ({"chip": "deep"}, r"stdp\.chip: must be a chip of one dense layer"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], message: str) -> None:
    chips = {
        "made": lambda: cim.program(_net(40, 6), spec()),
        "deep": lambda: cim.program(cim.mlp([40, 8, 6]), _pairs()),
    }
    given: dict[str, Any] = {"chip": spec(), "x": X, "y": None, "outputs": 6} | change
    chip = given.pop("chip")
    with pytest.raises(InputError, match=message):
        stdp(chips[chip]() if isinstance(chip, str) else chip, given.pop("x"), given.pop("y"), **given, **SETTINGS)


def _pairs() -> cim.ChipSpec:
    return spec(weights=cim.DifferentialPair())


def test_a_layer_without_labels_cannot_classify() -> None:
    layer, _ = stdp(spec(), X, outputs=6, **SETTINGS)
    assert repr(layer) == "Plastic(40 inputs, 6 neurons, no labels)"
    with pytest.raises(InputError, match=r"Plastic: its neurons must have labels to classify, got none; call labelled"):
        layer.predict(X)


def test_defaults_are_those_of_the_competition() -> None:
    layer, _ = stdp(spec(), X, outputs=6)
    assert layer.competition == Competition()
    assert layer.rule == RectangularSTDP()


def test_a_layer_goes_on_where_it_was() -> None:
    """A rule without pulses and no homeostasis change nothing; and parts of learning add up."""
    x, _ = patterns(200)
    layer, _ = stdp(spec(), x, outputs=6, seed=1, **SETTINGS)
    still = SETTINGS | {"homeostasis": None}
    same, _ = stdp(layer, x, rule=RectangularSTDP(set_pulses=0, reset_pulses=0), **still)
    np.testing.assert_array_equal(same.receptive_fields, layer.receptive_fields)
    np.testing.assert_array_equal(same.thresholds, layer.thresholds)
    further, _ = stdp(layer, x, seed=2, **SETTINGS)
    assert abs(further.thresholds.mean() / layer.thresholds.mean() - 1) < 0.2
