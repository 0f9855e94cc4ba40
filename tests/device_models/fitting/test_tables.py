from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from device_models.errors import InputError
from device_models.fitting import fit, tables
from device_models.fitting.tables import Table, read


def written(folder: Path, *lines: str) -> Path:
    path = folder / "data.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("header", "row", "kind"),
    [
        ("device,cycle,pulse,polarity,g_uS", "0,0,1,up,3", "pulses"),
        ("pulse,polarity,g_S", "1,-1,3e-6", "pulses"),
        ("device,t_s,g_uS,g_target_uS", "0,1,3,3", "retention"),
        ("device,t_s,g_uS", "0,1,3", "reads"),
        ("device,v_V,i_A", "0,0.1,1e-6", "iv"),
        ("device,g_target_uS,g_uS", "0,3,3", "writes"),
        ("device,stuck", "0,lrs", "faults"),
    ],
)
def test_the_columns_tell_the_kind(tmp_path: Path, header: str, row: str, kind: str) -> None:
    table = read(written(tmp_path, header, row))
    assert table.kind == kind
    assert table["device"].tolist() == table["cycle"].tolist() == [0]


def test_units_become_si_and_columns_without_meaning_are_left_alone(tmp_path: Path) -> None:
    table = read(written(tmp_path, "device,t_ms,g_nS,remark", "a,5,20,first", "b,6,30,second"))
    np.testing.assert_allclose(table["t"], [5e-3, 6e-3], rtol=1e-15)
    np.testing.assert_allclose(table["g"], [20e-9, 30e-9], rtol=1e-15)
    assert table["device"].tolist() == [0, 1]
    assert "remark" not in table.columns


def test_a_table_survives_the_way_through_a_file(tmp_path: Path) -> None:
    columns = {"pulse": np.arange(3), "polarity": np.ones(3), "g": np.array([1e-6, 2e-6, 3.3e-6])}
    table = tables.make("pulses", columns, "made up")
    back = read(table.save(tmp_path / "t.csv"))
    for name in table.columns:
        np.testing.assert_allclose(back[name], table[name], rtol=1e-14)


def test_groups_keep_the_order_of_rows() -> None:
    columns = {"device": np.array([1, 0, 1, 0]), "t": np.arange(4.0), "g": np.ones(4)}
    table = Table("reads", columns, "")
    assert [rows.tolist() for rows in table.groups("device")] == [[1, 3], [0, 2]]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("device,t_s,g", "0,1,3"), "data.csv, column 'g': must carry its unit in the header, got g; write g_uS"),
        (("device,t_s,g_kS", "0,1,3"), "data.csv, column 'g_kS': must have a unit of S, mS, uS"),
        (("device,t_s,g_uS", "0,1,3", "0,2,x"), "data.csv, row 3, column 'g_uS': must be a number, got x"),
        (("device,t_s,g_uS", "0,1,"), "data.csv, row 2, column 'g_uS': must be a number, got nothing"),
        (("device,t_s,g_uS", "0,1,inf"), "data.csv, row 2, column 'g_uS': must be a number, got inf"),
        (("device,t_s,g_uS", "0,1,3,4,5", "0,1,2,3,4,5"), "data.csv: must have as many fields in each row"),
        (("device,t_s,g_uS", "0,1,3", "0,2,-3"), "data.csv, row 3, column 'g_uS': must not be negative, got -3 uS"),
        (("pulse,polarity,g_uS", "1,up,3", "2,sideways,3"), "data.csv, row 3, column 'polarity': must be known"),
        (
            ("pulse,polarity,g_uS", "1,up,3", "3,up,4", "2,up,5"),
            "data.csv, row 4, column 'pulse': must rise within a device, cycle and polarity, got 2",
        ),
        (("pulse,g_uS", "1,3"), "data.csv: needs the columns of a measurement, got pulse, g_uS; add polarity"),
        (("a,b,c", "1,3,x"), "data.csv: needs the columns of a measurement, got a, b, c; pulse train: pulse"),
        (("device;t_s;g_uS", "0;1;3"), "data.csv: must separate its columns with commas, got semicolons"),
        (("device,t_s,g_uS",), "data.csv: needs at least one row"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(tmp_path: Path, lines: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError) as error:
        fit(written(tmp_path, *lines))
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_and_one_that_is_empty(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.csv: must be an existing file"):
        fit(tmp_path / "nowhere.csv")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InputError, match=r"empty\.csv: must be a CSV table with a header"):
        fit(tmp_path / "empty.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match=r"binary\.csv: must be a CSV table"):
        fit(tmp_path / "binary.csv")


def test_tables_of_one_kind_are_joined() -> None:
    one = tables.make("reads", {"t": np.ones(2), "g": np.ones(2)}, "a.csv", ("said",))
    other = tables.make("reads", {"t": np.ones(3), "g": np.ones(3), "cycle": np.ones(3)}, "b.csv", ("said",))
    (joined,) = tables.merged([one, other])
    assert (len(joined), joined.source, joined.assumed) == (5, "a.csv, b.csv", ("said",))
