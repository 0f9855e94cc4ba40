from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_models import cards
from device_models.cards import load, names, parse, save
from device_models.device import Device, Source
from device_models.errors import InputError, ParameterError
from device_models.parameters import Spread, to_dict
from device_models.read_noise import ReadNoise
from device_models.streams import Streams
from device_models.window import Window

SIEMENS = "must be in siemens, 0 or between 1e-12 and 0.1"
SHIPPED = sorted(path.stem for path in Path(cards.__file__).parent.glob("cards/*.toml"))


texts = st.text(st.characters(exclude_categories=["Cs"]))


class RootNoise(ReadNoise):
    """A slot class of one's own: standard deviation as the square root of the conductance."""

    scale: Spread

    def sigma(self, g: Any, seconds: Any) -> Any:
        return self.scale * np.sqrt(g * 1e-6)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A good card, for a test to break."""
    return save(load("generic-rram"), tmp_path / "mine.toml")


def refusal(path: Any) -> str:
    with pytest.raises((InputError, ParameterError)) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_shipped_cards_are_listed_in_order() -> None:
    assert names() == SHIPPED
    assert {"generic-rram", "hfox-wan-2022", "pcm-joshi-2020"} <= set(names())


def test_a_card_is_named_as_its_file() -> None:
    assert [load(name).name for name in names()] == names()


def test_a_slot_class_of_ones_own_is_found_by_its_kind(tmp_path: Path) -> None:
    device = load("generic-rram").replace(name="mine", read_noise=RootNoise(scale=0.1))
    path = save(device, tmp_path / "mine.toml")
    assert tomllib.loads(path.read_text())["read_noise"] == {"kind": "RootNoise", "scale": 0.1}
    back = load(path)
    assert back == device
    assert isinstance(back.read_noise, RootNoise)
    cells = back.fabricate((2, 2), Streams(0))
    np.testing.assert_allclose(back.read_sigma(cells), 0.1 * np.sqrt(cells.g * 1e-6))


@given(
    g_min=st.floats(1e-9, 1e-5),
    ratio=st.floats(1.5, 1000),
    title=texts,
    figures=st.dictionaries(texts.filter(bool), texts, max_size=3),
)
def test_any_device_comes_back_as_it_was(
    g_min: float, ratio: float, title: str, figures: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    window = Window(g_min=g_min, g_max=g_min * ratio)
    device = Device(name="any", title=title, window=window, source=Source(figures=figures))
    path = save(device, tmp_path_factory.getbasetemp() / "any.toml")
    assert load(path) == device


def test_empty_slots_are_left_out_of_a_card(card: Path) -> None:
    values = tomllib.loads(save(load("pcm-joshi-2020"), card).read_text())
    assert {"faults", "update", "conduction"}.isdisjoint(values)
    assert "levels" not in values["window"]


def test_a_card_is_found_by_text_or_path(card: Path) -> None:
    assert load(str(card)) == load(card) == load("generic-rram")
    plain = card.rename(card.with_suffix(""))
    assert load(plain) == load("generic-rram")


# --- what is refused ---


def test_a_card_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        save(load("generic-rram"), tmp_path / "none" / "mine.toml")
    text = "must be a file one can write, got No such file or directory; check the path"
    assert str(caught.value) == f"{tmp_path / 'none' / 'mine.toml'}: {text}"


@pytest.mark.parametrize(("name", "near"), [("generic-rrm", "did you mean 'generic-rram'? Known"), ("zzz", "known")])
def test_an_unknown_card_gets_the_nearest_name(name: str, near: str) -> None:
    remedy = f"{near}: {', '.join(SHIPPED)}; or give the path of a .toml file"
    assert refusal(name) == f"device: must be the name of a card or the path of one, got {name}; {remedy}"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    assert refusal(path) == f"{path}: must be an existing file, got nothing there; check the path"


def test_a_folder_is_no_card(tmp_path: Path) -> None:
    path = tmp_path / "folder.toml"
    path.mkdir()
    assert refusal(path) == f"{path}: must be a file one can read, got Is a directory; check the path"


def test_broken_toml_names_the_place(card: Path) -> None:
    card.write_text('name = "x"\n[window\ng_min = 0.0\n')
    text = refusal(card)
    assert text.startswith(f"{card}: must be TOML, got ")
    assert "line 2, column 8" in text
    assert text.endswith("; correct the file at that place")


def test_bytes_that_are_no_text_are_refused(card: Path) -> None:
    card.write_bytes(b'name = "\xff\xfe"')
    assert refusal(card).startswith(f"{card}: must be TOML, got 'utf-8' codec can't decode byte 0xff in position 8")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("g_max = 0.0001", "g_max = 100", f".window.g_max: {SIEMENS}, got 100; did you mean 100e-6?"),
        ("levels = 32", "levls = 32", ".window: unknown name, got 'levls'; did you mean 'levels'? Known: g_min, g_"),
        ("levels = 32", "levels = true", ".window.levels: must be a valid integer, got True"),
        ("max_pulses = 100", 'max_pulses = "False"', ".programming.max_pulses: must be a valid integer, got 'False'"),
        (
            '"SpanError"',
            '"SpamError"',
            ".programming.error: unknown 'kind', got SpamError; did you mean 'SpanError'? Kn",
        ),
        ('kind = "SpanError"', "", ".programming.error: needs a 'kind', got none; one of SpanError, PolynomialError"),
        (
            "stuck_lrs = 0.001",
            "stuck_lrs = nan",
            ".faults.stuck_lrs: must be a finite number (fraction, 0 to 1), got nan",
        ),
        ("stuck_lrs = 0.001", "stuck_lrs = -1.0", ".faults.stuck_lrs: must be greater than or equal to 0 (fraction, "),
        ("[read_noise]", "[read_nois]", ": unknown name, got 'read_nois'; did you mean 'read_noise'? Known: name, "),
    ],
    ids=lambda text: text[:24],
)
def test_a_bad_value_in_a_card_is_named_by_file_and_section(card: Path, old: str, new: str, text: str) -> None:
    good = card.read_text()
    assert good.count(old) == 1
    card.write_text(good.replace(old, new))
    assert refusal(card).startswith(f"{card}.Device{text}")


def test_a_doi_is_a_doi() -> None:
    values = to_dict(load("pcm-joshi-2020"))
    values["source"]["doi"] = "doi.org/10.1038"
    with pytest.raises(ParameterError, match=r"^here.Device.source.doi: .*, got 'doi.org/10.1038'$"):
        parse(values, "here")
