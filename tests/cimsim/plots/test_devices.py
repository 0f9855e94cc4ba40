from __future__ import annotations

import io
import subprocess
import sys
from itertools import combinations
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from matplotlib.transforms import BboxBase

import device_models as dm
from cimsim.plots import devices as device_plots
from cimsim.plots.devices import PANELS, TIMES, Unit, device_card
from device_models.conduction import Ohmic, PolynomialConduction, Sinh
from device_models.device import Device
from device_models.endurance import Endurance
from device_models.faults import CellFaults
from device_models.half_select import HalfSelect, ThresholdDisturb
from device_models.programming import SpanError, WriteVerify
from device_models.read_noise import AbsoluteNoise, OneOverFNoise, PolynomialNoise, SumOfNoise, TelegraphNoise
from device_models.retention import LogTimeRelaxation, PowerLawDrift
from device_models.streams import Streams
from device_models.update import ExponentialUpdate, PulseScheme, RampedUpdate, SoftBoundsUpdate
from device_models.window import Window

STREAMS = Streams(0)
DEVICE = Device(name="plain", title="A plain device", window=Window(g_min=10e-6, g_max=110e-6))
WEAR = Endurance(onset=1e4, high_per_decade=0.2, low_per_decade=0.05)
FULL = dm.load("generic-rram").replace(
    name="full", conduction=Sinh(v0=0.3), faults=CellFaults(stuck_hrs=0.01, spread_g_max=0.05, endurance=WEAR)
)


@pytest.fixture
def ax() -> Axes:
    return Figure().subplots()


def lines(ax: Axes, style: str = "-") -> list[tuple[np.ndarray, np.ndarray]]:
    return [(np.asarray(n.get_xdata()), np.asarray(n.get_ydata())) for n in ax.lines if n.get_linestyle() == style]


def band(ax: Axes, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper edge of the k-th band."""
    found = [c for c in ax.collections if isinstance(c, FillBetweenPolyCollection)][k]
    points = found.get_paths()[0].vertices
    half = (len(points) - 1) // 2
    first, second = points[1:half, 1], points[half + 1 : -1, 1][::-1]
    return (first, second) if first.sum() < second.sum() else (second, first)


def shares(ax: Axes) -> list[np.ndarray]:
    return [np.asarray(p.get_data().values) for p in ax.patches if isinstance(p, StepPatch)]


# --- panels draw what the law says ---


def test_write_curves_follow_the_update_law(ax: Axes) -> None:
    law = ExponentialUpdate(pulses_up=50, pulses_down=50, nl_up=2.0, nl_down=-1.0)
    device_plots.write_curves(ax, DEVICE.replace(update=law), STREAMS)
    up, down = (line for line in ax.lines if line.get_label() in ("LTP", "LTD"))
    n = np.arange(51)
    rng = STREAMS.rng("unused")
    rising = law.pulse(np.full(51, 10e-6), n, DEVICE.window, rng)
    falling = law.pulse(np.full(51, 110e-6), -n, DEVICE.window, rng)
    np.testing.assert_allclose(up.get_xydata(), np.column_stack([n, rising * 1e6]), rtol=1e-9)
    np.testing.assert_allclose(down.get_xydata(), np.column_stack([50 + n, falling * 1e6]), rtol=1e-9)


def test_write_curves_spread_as_cycle_to_cycle_noise(ax: Axes) -> None:
    law = ExponentialUpdate(pulses_up=400, pulses_down=400, c2c=0.001)
    device_plots.write_curves(ax, DEVICE.replace(update=law), STREAMS)
    low, high = band(ax, 0)
    n, middle = lines(ax)[0]
    at = np.searchsorted(n, 200)
    assert n[at] == 200
    half = 1.645 * 0.001 * 100 * np.sqrt(200)
    assert middle[at] == pytest.approx(60, abs=0.2)
    assert high[at] - middle[at] == pytest.approx(half, rel=0.12)
    assert middle[at] - low[at] == pytest.approx(half, rel=0.12)
    assert len(n) <= 129


def test_levels_are_histograms_of_what_was_written(ax: Axes) -> None:
    device_plots.levels(ax, DEVICE.replace(programming=SpanError(error=0.01)), STREAMS)
    targets = np.linspace(10, 110, 8)
    np.testing.assert_allclose([x[0] for x, _ in lines(ax, "--")], targets)
    for patch, target in zip(ax.patches, targets, strict=True):
        assert isinstance(patch, StepPatch)
        values, edges, _ = patch.get_data()
        centres = (edges[1:] + edges[:-1]) / 2
        assert values.sum() == pytest.approx(100)
        assert (values * centres).sum() / 100 == pytest.approx(target, abs=0.1)
        assert np.sqrt((values * (centres - target) ** 2).sum() / 100) == pytest.approx(1.0, rel=0.06)


def test_levels_are_those_of_cells_by_themselves(ax: Axes) -> None:
    law, disturb = ExponentialUpdate(pulses_up=50, pulses_down=50), ThresholdDisturb(v_threshold=0.1)
    passive = DEVICE.replace(update=law, half_select=HalfSelect(scheme="V/2", v_write=1.0, disturb=disturb))
    device_plots.levels(ax, passive, STREAMS)
    assert [share.max() for share in shares(ax)] == [100.0] * 8


def test_levels_tell_what_verify_cost(ax: Axes) -> None:
    verify = WriteVerify(error=SpanError(error=0.05), tolerance=1.5e-6, max_pulses=1000)
    device_plots.levels(ax, DEVICE.replace(programming=verify), STREAMS)
    assert ax.get_title("right").endswith(" pulses a cell, 0 % given up")


def test_a_bar_that_dwarfs_the_others_is_cut_and_named(ax: Axes) -> None:
    device_plots.levels(
        ax, DEVICE.replace(window=DEVICE.window.replace(g_min=0.0), programming=SpanError(error=0.05)), STREAMS
    )
    assert len(ax.texts) == 1  # half of the cells that aim at 0 S end there
    assert ax.get_ylim()[1] < max(share.max() for share in shares(ax))


def test_retention_follows_the_drift_law(ax: Axes) -> None:
    device_plots.retention(ax, DEVICE.replace(retention=PowerLawDrift(nu=0.05, t0=20.0)), STREAMS)
    drawn = lines(ax)
    assert len(drawn) == 5
    for (t, g), level in zip(drawn, [20, 42.5, 65, 87.5, 110], strict=True):
        np.testing.assert_array_equal(t, TIMES)
        np.testing.assert_allclose(g, level * np.maximum(TIMES / 20, 1) ** -0.05, rtol=1e-9)
    assert ax.get_xscale() == "log"
    assert ax.get_xlim() == (1.0, TIMES[-1])


def test_retention_bands_hold_ninety_percent(ax: Axes) -> None:
    law = LogTimeRelaxation(times=(1.0, 1e8), sigma=((1e-6,), (5e-6,)), g_ref=100e-6)
    device_plots.retention(ax, DEVICE.replace(retention=law), STREAMS)
    low, high = band(ax, 2)
    sigma = law.spread(np.full(TIMES.shape, 65e-6), TIMES) * 1e6
    np.testing.assert_allclose(high - low, 2 * 1.645 * sigma, rtol=0.1)


@pytest.mark.parametrize(("last", "dotted"), [(1e8, [1e8]), (3.156e8, [])])
def test_where_a_retention_table_ends_is_shown(ax: Axes, last: float, dotted: list[float]) -> None:
    law = LogTimeRelaxation(times=(1.0, last), sigma=((1e-6,), (5e-6,)), g_ref=100e-6)
    device_plots.retention(ax, DEVICE.replace(retention=law), STREAMS)
    assert [x[0] for x, _ in lines(ax, ":")] == dotted
    assert ("last time known" in ax.get_title("right")) == bool(dotted)


def test_the_spectrum_of_independent_reads_is_flat_and_holds_their_variance(ax: Axes) -> None:
    """One-sided: 2 sigma^2 per rate of reads."""
    law = PolynomialNoise(coefficients=(0.1e-6, 1e-6), g_ref=100e-6)
    device_plots.read_noise(ax, DEVICE.replace(read_noise=law), STREAMS)
    for (f, density), g in zip(lines(ax), (20, 60, 110), strict=True):
        assert f[-1] == pytest.approx(0.5e6, rel=0.1)
        flat = 2e-6 * (0.1 + g / 100) ** 2
        np.testing.assert_allclose(density[f > 1e4], flat, rtol=0.25)
        np.testing.assert_allclose(density[f > 1e5], flat, rtol=0.05)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "20 µS: σ 0.3 µS",
        "60 µS: σ 0.7 µS",
        "110 µS: σ 1.2 µS",
    ]
    assert ax.get_title("right") == "reads 1 µs apart, 1 s after the write"


def test_the_spectrum_of_a_telegraph_is_lorentzian(ax: Axes) -> None:
    law = TelegraphNoise(amplitude=0.1, tau_high=1e-3, tau_low=4e-3)
    device_plots.read_noise(ax, DEVICE.replace(read_noise=law), STREAMS)
    for (f, density), g in zip(lines(ax), np.array([20e-6, 60e-6, 110e-6]), strict=True):
        sigma = law.sigma(g, 1.0) * 1e6
        lorentzian = 4 * sigma**2 * law.tau / (1 + (2 * np.pi * f * law.tau) ** 2)
        seen = (f > 10 / (4096 * law.tau / 10)) & (f < 1 / law.tau)  # below, few lines are averaged; above, they alias
        np.testing.assert_allclose(density[seen], lorentzian[seen], rtol=0.3)
        assert np.mean(density[seen] / lorentzian[seen]) == pytest.approx(1, abs=0.06)


def test_the_spectrum_of_flicker_noise_falls_as_one_over_f_and_its_sigma_grows(ax: Axes) -> None:
    law = OneOverFNoise(q=0.01, g_ref=100e-6)
    device_plots.read_noise(ax, DEVICE.replace(read_noise=law), STREAMS)
    for f, density in lines(ax):
        assert f[-1] == pytest.approx(2e6, rel=0.1)
        seen = (f > 1e4) & (f < 4e5)
        assert np.polyfit(np.log(f[seen]), np.log(density[seen]), 1)[0] == pytest.approx(-1, abs=0.1)
    soon, late = (law.sigma(np.asarray(110e-6), np.asarray(t)) * 1e6 for t in (1.0, 86400.0))
    assert ax.get_legend().get_texts()[2].get_text() == f"110 µS: σ {soon:.3g} µS ({late:.3g} after a day)"


def test_noise_that_is_none_still_makes_a_panel(ax: Axes) -> None:
    device_plots.read_noise(ax, DEVICE.replace(read_noise=AbsoluteNoise(std=0.0)), STREAMS)
    assert ax.get_yscale() == "linear"
    assert ax.get_legend().get_texts()[0].get_text() == "20 µS: σ 0 µS"


def test_reads_are_spaced_by_the_laws_own_time() -> None:
    telegraph = TelegraphNoise(amplitude=0.1, tau_high=2e-3, tau_low=2e-3)
    flicker = OneOverFNoise(q=0.01, g_ref=1e-6, t_read=5e-7)
    laws = [AbsoluteNoise(std=1e-6), flicker, telegraph, SumOfNoise(parts=(flicker, telegraph))]
    assert [device_plots.read_interval(law) for law in laws] == pytest.approx([1e-6, 5e-7, 1e-4, 1e-4])


def test_current_voltage_curves_at_both_ends_of_the_window(ax: Axes) -> None:
    device_plots.current_voltage(ax, DEVICE.replace(conduction=Sinh(v0=0.3)), STREAMS)
    for drawn, law in ((lines(ax), lambda v: 0.3 * np.sinh(v / 0.3)), (lines(ax, "--"), lambda v: v)):
        for (v, i), g in zip(drawn, (110, 10), strict=True):
            np.testing.assert_allclose(i, g * law(v), rtol=1e-12, atol=1e-15)
    assert ax.get_ylabel() == "current (µA)"


def test_a_curve_ends_where_its_law_does(ax: Axes) -> None:
    device_plots.current_voltage(ax, DEVICE.replace(conduction=PolynomialConduction(a3=1.0, v_max=0.3)), STREAMS)
    assert (lines(ax)[0][0][0], lines(ax)[0][0][-1]) == (-0.3, 0.3)


def test_write_curves_end_where_the_window_does_and_not_at_a_nominal_count(ax: Axes) -> None:
    """Linear ion drift: a nominal pulse is half the window, and 81 are needed."""
    device_plots.write_curves(ax, dm.load("tio2-strukov-2008"), STREAMS)
    up, down = (line for line in ax.lines if line.get_label() in ("LTP", "LTD"))
    assert (up.get_xdata()[-1], up.get_ydata()[-1]) == (81, 10.0)
    assert down.get_ydata()[-1] == pytest.approx(0.0625, abs=0.2)


def test_noise_that_keeps_the_median_off_the_end_does_not_lengthen_a_curve(ax: Axes) -> None:
    law = SoftBoundsUpdate(rate=0.05, c2c=0.01)
    device_plots.write_curves(ax, DEVICE.replace(update=law), STREAMS)
    up = next(line for line in ax.lines if line.get_label() == "LTP")
    assert 40 <= up.get_xdata()[-1] < 100  # 1/e of the way is left after 20 pulses, 2 % after 78


def test_ramped_pulses_are_named_so(ax: Axes) -> None:
    law = RampedUpdate(law=SoftBoundsUpdate(rate=0.05), up=PulseScheme(volts=(1.0, 2.0)))
    device_plots.write_curves(ax, DEVICE.replace(update=law), STREAMS)
    assert ax.get_title("left") == "Ramped pulses"


def test_endurance_shows_the_window_close(ax: Axes) -> None:
    device_plots.endurance(ax, DEVICE.replace(faults=CellFaults(endurance=WEAR)), STREAMS)
    (pulses, high), (_, low) = lines(ax)
    decades = np.minimum(np.maximum(np.log10(pulses / 1e4), 0), 4)
    np.testing.assert_allclose(high, 110 - 20 * decades, rtol=1e-9)
    np.testing.assert_allclose(low, 10 + 5 * decades, rtol=1e-9)


def test_cells_without_spread_are_said_to_be_alike(ax: Axes) -> None:
    device_plots.fabrication(ax, DEVICE.replace(faults=CellFaults(stuck_hrs=0.01)), STREAMS)
    assert [text.get_text() for text in ax.texts] == ["all cells alike"]


def test_fabrication_shows_the_spread_and_counts_stuck_cells(ax: Axes) -> None:
    device_plots.fabrication(ax, DEVICE.replace(faults=CellFaults(stuck_hrs=0.5, spread_g_max=0.1)), STREAMS)
    (patch,) = ax.patches
    assert isinstance(patch, StepPatch)
    values, edges, _ = patch.get_data()
    centres = (edges[1:] + edges[:-1]) / 2
    mean = (values * centres).sum() / 100
    assert values.sum() == pytest.approx(100)
    assert mean == pytest.approx(110, abs=0.3)
    assert np.sqrt((values * (centres - mean) ** 2).sum() / 100) == pytest.approx(11, rel=0.03)
    assert ax.get_title("right") == "stuck: 0 % LRS, 50 % HRS"


@pytest.mark.parametrize("slot", PANELS)
def test_panels_return_their_axes_with_title_and_units(ax: Axes, slot: str) -> None:
    assert PANELS[slot](ax, FULL, STREAMS) is ax
    assert ax.get_title("left")
    assert "µ" in ax.get_xlabel() + ax.get_ylabel()


# --- the page ---


@pytest.mark.parametrize(
    ("g_max", "text"),
    [
        (1e-3, "1 mS"),
        (0.999e-3, "999 µS"),
        (1e-6, "1 µS"),
        (0.99e-6, "990 nS"),
        (38.462e-9, "38.5 nS"),
        (100e-6, "100 µS"),
    ],
)
def test_conductances_are_in_microsiemens_or_nanosiemens(g_max: float, text: str) -> None:
    assert Unit.of(DEVICE.replace(window=Window(g_min=0.0, g_max=g_max))).text(g_max) == text


def titles(figure: Figure) -> list[str]:
    return [ax.get_title("left") for ax in figure.axes if ax.get_title("left")]


def test_only_slots_that_are_on_have_a_panel() -> None:
    assert len(titles(device_card(FULL))) == 7
    only = device_card(DEVICE.replace(conduction=Ohmic(), retention=PowerLawDrift(nu=0.1)))
    assert titles(only) == ["Retention"]
    assert only.get_suptitle() == (
        "plain: A plain device\n10 µS to 110 µS, continuous; ideal: faults, programming, update, read noise, conduction"
    )
    assert titles(device_card(DEVICE)) == ["Eight levels"]


def test_the_page_ends_with_the_source() -> None:
    joshi = dm.load("pcm-joshi-2020")
    text = device_card(joshi).get_supxlabel().replace("\n", " ")
    assert text == f"{joshi.source.paper}, doi:{joshi.source.doi} {joshi.source.validity}"


def test_the_seed_fixes_the_page() -> None:
    drifting = DEVICE.replace(retention=PowerLawDrift(nu=0.05, spread=0.01))

    def drawn(seed: int) -> np.ndarray:
        return np.concatenate([y for ax in device_card(drifting, seed=seed).axes for _, y in lines(ax)])

    np.testing.assert_array_equal(drawn(1), drawn(1))
    assert not np.array_equal(drawn(1), drawn(2))


@pytest.fixture
def drawn_texts(monkeypatch: pytest.MonkeyPatch) -> list[Text]:
    """Every text that is drawn from here on: headings, labels, legends, and those ticks that are in view."""
    found: list[Text] = []
    draw = Text.draw

    def recording(self: Text, renderer: Any, *args: Any, **kwargs: Any) -> None:
        if self.get_text() and self.get_visible():
            found.append(self)
        draw(self, renderer, *args, **kwargs)

    monkeypatch.setattr(Text, "draw", recording)
    return found


ALWAYS = (FULL.name, "generic-rram", "pcm-joshi-2020", "tio2-strukov-2008")  # the others in `make slow`
CARDS = [
    pytest.param(card, id=card.name, marks=[] if card.name in ALWAYS else [pytest.mark.slow])
    for card in (FULL, *map(dm.load, dm.names()))
]


@pytest.mark.parametrize("device", CARDS)
def test_every_card_renders_with_nothing_overlapping(device: Device, drawn_texts: list[Text]) -> None:
    figure = device_card(device)
    FigureCanvasAgg(figure).draw()
    boxes = {text: text.get_window_extent() for text in drawn_texts}
    assert len(boxes) > 15
    pairs = [(a.get_text(), b.get_text()) for a, b in combinations(boxes, 2) if boxes[a].overlaps(boxes[b])]
    assert pairs == []
    page = figure.bbox
    assert [text.get_text() for text, box in boxes.items() if not within(box, page)] == []


def within(inner: BboxBase, outer: BboxBase) -> bool:
    return bool((inner.min >= outer.min).all() and (inner.max <= outer.max).all())


def test_a_page_is_saved_in_any_format() -> None:
    figure = device_card(DEVICE)
    for kind, head in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        file = io.BytesIO()
        figure.savefig(file, format=kind, dpi=40)
        assert file.getvalue().startswith(head)


def test_drawing_touches_no_global_state() -> None:
    before = dict(mpl.rcParams)
    device_card(DEVICE)
    assert dict(mpl.rcParams) == before
    code = (
        "import sys, device_models as dm; from cimsim.plots.devices import device_card; "
        "assert 'matplotlib' not in sys.modules; device_card(dm.load('ag-si-jo-2010')); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
