"""Frames and vectors from files that lie around: what is there comes back, every fault is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from recordings import noise

from framecast.sources._files import pictures_of, vectors_of


def save(path: Path, frame: np.ndarray) -> Path:
    Image.fromarray(frame).save(path)
    return path


# ---------------------------------------------------------------- pictures


def test_one_picture(tmp_path: Path) -> None:
    frame = noise(9, 12, 3)
    assert (pictures_of(save(tmp_path / "first.png", frame)) == frame[None]).all()
    assert pictures_of(tmp_path / "first.png", 1).shape == (1, 9, 12, 1)


def test_a_folder_is_ordered_by_number(tmp_path: Path) -> None:
    frames = noise(12, 8, 9, 3)
    for number, frame in enumerate(frames):
        save(tmp_path / f"frame{number}.png", frame)  # as text, 10 and 11 come before 2
    (tmp_path / "notes.txt").write_text("not a picture")
    assert (pictures_of(str(tmp_path)) == frames).all()


def test_faults_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no picture"):
        pictures_of(tmp_path)
    save(tmp_path / "1.png", noise(8, 8, 3))
    save(tmp_path / "4.png", noise(8, 8, 3))
    with pytest.raises(ValueError, match=r"1\.png is followed by 4\.png: number 2 is missing"):
        pictures_of(tmp_path)
    (tmp_path / "4.png").rename(tmp_path / "01.png")
    with pytest.raises(ValueError, match="the same number"):
        pictures_of(tmp_path)
    (tmp_path / "01.png").unlink()
    save(tmp_path / "2.png", noise(8, 10, 3))
    with pytest.raises(ValueError, match=r"2\.png is 8 x 10 \(H x W\) but 1\.png is 8 x 8"):
        pictures_of(tmp_path)
    (tmp_path / "2.png").write_bytes(b"\x89PNG cut off")
    with pytest.raises(ValueError, match=r"2\.png is not a readable picture"):
        pictures_of(tmp_path)


def test_arrays_of_frames(tmp_path: Path) -> None:
    frames = noise(4, 8, 9, 3)
    np.save(tmp_path / "a.npy", frames)
    np.savez(tmp_path / "a.npz", frames=frames)
    np.save(tmp_path / "one.npy", frames[0])
    np.save(tmp_path / "grey.npy", frames[..., 0])
    assert (pictures_of(tmp_path / "a.npy") == frames).all()
    assert (pictures_of(tmp_path / "a.npz") == frames).all()
    assert (pictures_of(tmp_path / "one.npy") == frames[:1]).all()
    assert (pictures_of(tmp_path / "grey.npy", 1) == frames[..., :1]).all()
    with pytest.raises(ValueError, match=r"holds uint8 \(4, 8, 9, 3\). Frames are uint8 \(n, H, W, 7\)"):
        pictures_of(tmp_path / "a.npy", 7)


def test_faults_of_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "float.npy", noise(4, 8, 9, 3) / 255)
    with pytest.raises(ValueError, match="holds float64"):
        pictures_of(tmp_path / "float.npy")
    (tmp_path / "bad.npy").write_bytes(b"nothing")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 cut off")
    for name in ("bad.npy", "bad.npz"):
        with pytest.raises(ValueError, match="is not a readable .np"):
            pictures_of(tmp_path / name)
    np.savez(tmp_path / "two.npz", a=noise(2), b=noise(2))
    with pytest.raises(ValueError, match=r"holds 2 arrays \(a, b\)"):
        pictures_of(tmp_path / "two.npz")


@pytest.mark.parametrize("name", ["none.png", "none.npy", "none"])
def test_what_is_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError, match="none"):
        pictures_of(tmp_path / name)


def test_other_kinds(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n")
    with pytest.raises(ValueError, match=r"is no picture. Give .png"):
        pictures_of(tmp_path / "a.csv")
    with pytest.raises(ValueError, match="1 or 3 channels"):
        pictures_of(save(tmp_path / "a.png", noise(8, 8, 3)), 4)


# ---------------------------------------------------------------- vectors


def test_vectors(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(5, 3))
    np.save(tmp_path / "a.npy", values)
    np.savez(tmp_path / "a.npz", actions=values)
    lines = "\n".join(",".join(map(repr, row)) for row in values.tolist())
    (tmp_path / "a.csv").write_text(lines)
    (tmp_path / "named.csv").write_text(
        "\ufeffx, y, z\r\n" + lines.replace("\n", "\r\n") + "\r\n\r\n", encoding="utf-8"
    )
    for name in ("a.npy", "a.npz", "a.csv", "named.csv"):
        found = vectors_of(tmp_path / name)
        assert found.dtype == np.float32
        assert (found == values.astype(np.float32)).all()


@pytest.mark.parametrize("values", [np.arange(4.0), np.array([True, False, True]), np.eye(3, dtype=bool)])
def test_single_numbers_and_switches_are_vectors(tmp_path: Path, values: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", values)
    found = vectors_of(tmp_path / "a.npy")
    assert found.dtype == np.float32 and (found == values.reshape(len(values), -1)).all()


def test_a_row_of_an_array_that_is_not_finite(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[1.0], [np.nan]]))
    with pytest.raises(ValueError, match=r"first in row 1 .*: mend the row\.$"):
        vectors_of(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("line", "marks"),
    [
        ("1;2;3", "semicolons"),
        ("1,5; 2,5", "semicolons"),
        ("1.0\t2.0", "blanks or tabs"),
        ("1e-3  2", "blanks or tabs"),
    ],
)
@pytest.mark.parametrize("head", ["", "x;y\n"])
def test_a_csv_without_commas_is_told_once(tmp_path: Path, line: str, marks: str, head: str) -> None:
    (tmp_path / "a.csv").write_text(head + (line + "\n") * 30)
    with pytest.raises(ValueError, match=rf"a.csv has {marks} between its numbers: put commas there.*\(1.5,2\)\.$"):
        vectors_of(tmp_path / "a.csv")


def test_every_fault_of_a_csv_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y\n1,2\n1,two\n1\nnan,1e99\n\n1,1_0\n")
    with pytest.raises(ValueError) as caught:
        vectors_of(path)
    assert str(caught.value).splitlines() == [
        f"{path} has 6 faults:",
        "  line 3: column 2 is 'two', not a number",
        "  line 4: 1 columns, line 1 has 2",
        "  line 5: column 1 is nan: numbers must be finite",
        "  line 5: column 2 is 1e99: numbers must be finite",
        "  line 6: 0 columns, line 1 has 2",
        "  line 7: column 2 is '1_0', not a number",
    ]


def test_many_faults_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n" + "1,x\n" * 50)
    with pytest.raises(ValueError, match="has 50 faults") as caught:
        vectors_of(tmp_path / "a.csv")
    assert str(caught.value).endswith("\n  and 30 more")
    assert len(str(caught.value).splitlines()) == 22


def test_no_vectors(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("x,y\n\n")
    with pytest.raises(ValueError, match="holds no numbers"):
        vectors_of(tmp_path / "empty.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not readable as text"):
        vectors_of(tmp_path / "binary.csv")
    np.save(tmp_path / "nan.npy", np.array([[0.0, np.nan]]))
    with pytest.raises(ValueError, match="NaN or infinite numbers, first in row 0"):
        vectors_of(tmp_path / "nan.npy")
    np.save(tmp_path / "deep.npy", np.zeros((4, 1, 1)))
    with pytest.raises(ValueError, match=r"holds float64 \(4, 1, 1\)"):
        vectors_of(tmp_path / "deep.npy")
    with pytest.raises(ValueError, match="It is a folder"):
        vectors_of(tmp_path)
    for name in ("none.csv", "none.npy"):
        with pytest.raises(FileNotFoundError):
            vectors_of(tmp_path / name)
