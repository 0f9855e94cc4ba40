from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from cimsim.datasets import FilterBank
from device_models.errors import InputError, ParameterError

BANK = FilterBank(rate=8000, window=32e-3, hop=20e-3, bands=32)
T = np.arange(8000) / 8000


def test_the_spectrum_is_scipys_short_time_fourier_transform() -> None:
    signal = np.random.default_rng(0).normal(size=1600)
    transform = ShortTimeFFT(hann(256, sym=False), hop=160, fs=8000, scale_to=None, phase_shift=None)
    # scipy's slice p is centred at p hop: frame k of ours is the slice of a signal moved by half a window.
    spectra = transform.stft(np.concatenate([np.zeros(64), signal]), p0=0)  # 64 + 128 = 192, not a multiple of the hop
    assert spectra.shape[0] == 129
    ours = BANK.energies(signal, 5)
    moved = transform.stft(np.concatenate([np.zeros(32), signal, np.zeros(300)]))
    first = -transform.p_min + 1  # centre at 160 = 32 + 128: the frame from sample 0 on
    np.testing.assert_allclose(ours, (np.abs(moved[:, first : first + 5]) ** 2).T @ BANK.weights(), rtol=1e-9)


def test_a_tone_is_loudest_in_the_band_that_peaks_at_it() -> None:
    centres = BANK.edges()[1:-1]
    for band in range(0, 32, 3):
        energies = BANK.energies(np.sin(2 * np.pi * centres[band] * T), 10)
        assert np.all(energies.argmax(axis=1) == band)


def test_bands_share_every_line_between_them() -> None:
    """Triangles that meet at their centres add up to 1 from the first centre to the last."""
    weights, edges = BANK.weights(), BANK.edges()
    lines = np.arange(129) * 8000 / 256
    inside = (lines >= edges[1]) & (lines <= edges[-2])
    np.testing.assert_allclose(weights.sum(axis=1)[inside], 1.0)
    assert inside.sum() > 100


def test_edges_are_even_on_the_mel_scale() -> None:
    """1000 Hz is 1000 mel, by the scale's definition; ends are the ones asked for."""
    edges = BANK.replace(low=100.0, high=3500.0).edges()
    mel = 2595 * np.log10(1 + edges / 700)
    np.testing.assert_allclose(np.diff(mel), mel[1] - mel[0])
    np.testing.assert_allclose(edges[[0, -1]], [100, 3500])
    assert 2595 * np.log10(1 + 1000 / 700) == pytest.approx(1000, abs=0.1)


def test_features_take_out_the_loudness_and_silence_is_0() -> None:
    signal = np.random.default_rng(1).normal(size=2000).astype(np.float32)
    x = BANK.features(signal, 50)
    assert (x.shape, x.dtype, x.min(), x.max()) == ((50, 32), np.float32, 0.0, 1.0)
    np.testing.assert_allclose(BANK.features(signal * 1e-3, 50), x, atol=1e-5)
    assert not x[13:].any()  # 2000 samples end before the frame at 13 x 160
    assert not BANK.features(np.zeros(100), 50).any()


def test_ten_decibels_are_a_sixth_of_the_range() -> None:
    tone = np.sin(2 * np.pi * BANK.edges()[10] * T)
    signal = np.concatenate([tone[:1600], tone[1600:] * 10**-0.5])
    x = BANK.features(signal, 40)
    assert x[2, 9] - x[30, 9] == pytest.approx(1 / 6, abs=1e-4)


def test_a_signal_longer_than_the_frames_is_cut() -> None:
    signal = np.random.default_rng(2).normal(size=8000)
    np.testing.assert_array_equal(BANK.energies(signal, 3), BANK.energies(signal[: 2 * 160 + 256], 3))


def test_what_is_refused() -> None:
    for bad in (np.zeros(0), np.zeros((2, 3)), np.array([0.0, np.nan])):
        with pytest.raises(InputError, match="signal: must be finite samples on one axis"):
            BANK.energies(bad, 5)
    with pytest.raises(InputError, match="frames 1 or more"):
        BANK.energies(np.ones(5), 0)
    with pytest.raises(ParameterError, match="high at most half the sample rate"):
        BANK.replace(high=4001.0)
    with pytest.raises(ParameterError, match="every band must hold a line of the spectrum"):
        BANK.replace(bands=200)
    with pytest.raises(ParameterError, match="one sample or more"):
        BANK.replace(hop=1e-5)
