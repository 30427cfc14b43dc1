"""Files that appear whole or not at all: contents, permissions, what reaches the disk and when, and kills."""

import errno
import hashlib
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file

import search_r3
from search_r3 import files
from search_r3.files import (
    atomic_folder,
    atomic_path,
    bytes_sha256,
    file_sha256,
    remove_leftovers,
    write_bytes,
    write_lines,
    write_text,
)

ODD = "one\ntwo\r\nthree\rfour\u2028\x85\x00 äöü 日本 🙂 \ufeffno newline at the end"


def tree(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def failing(lines):
    yield from lines
    raise ValueError("no more")


# -------------------------------------------------------------------------------------------- contents


def test_content_is_exact(tmp_path):
    """Every byte and newline is as given, also where the system's own newline is another one."""
    path = tmp_path / "x.txt"
    write_text(path, ODD)
    assert path.read_bytes() == ODD.encode("utf-8")
    write_lines(path, (line for line in ["a\n", "", "b\r\n", ODD]))
    assert path.read_bytes() == f"a\nb\r\n{ODD}".encode()
    write_bytes(path, bytes(range(256)))
    assert path.read_bytes() == bytes(range(256))
    write_text(path, "")
    assert path.read_bytes() == b""
    assert tree(tmp_path) == {"x.txt"}


def test_newlines_do_not_follow_the_system(tmp_path):
    """With Windows' newline, an ordinary text file gets other bytes; ours do not."""
    program = (
        "import io, os, sys\nfrom pathlib import Path\nfrom search_r3.files import write_lines, write_text\n"
        "import _pyio\nio.open = _pyio.open\nos.linesep = '\\r\\n'\n"
        "write_text(Path('text'), 'a\\nb\\n')\nwrite_lines(Path('lines'), ['a\\n', 'b\\n'])\n"
        "Path('control').write_text('a\\nb\\n')\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert found == {"text": b"a\nb\n", "lines": b"a\nb\n", "control": b"a\r\nb\r\n"}


def test_missing_folders_are_made(tmp_path):
    """A file's folders need not exist; a folder's neither."""
    write_text(tmp_path / "a" / "b" / "x", "text")
    with atomic_folder(tmp_path / "c" / "d") as part:
        part.mkdir()
    assert tree(tmp_path) == {"a", "a/b", "a/b/x", "c", "c/d"}


def test_relative_paths(tmp_path, monkeypatch):
    """A bare name is a file of the working folder."""
    monkeypatch.chdir(tmp_path)
    write_text(Path("x"), "text")
    write_text(Path("a/y"), "text")
    assert tree(tmp_path) == {"x", "a", "a/y"}


def test_libraries_recognise_the_format(tmp_path):
    """NumPy, which adds a suffix that is missing, pyarrow and safetensors write where they are told to."""
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    with atomic_path(tmp_path / "x.npy") as part:
        np.save(part, values)
    with atomic_path(tmp_path / "x.npz") as part:
        np.savez(part, values=values)
    with atomic_path(tmp_path / "x.parquet") as part:
        pq.write_table(pa.table({"a": [1, 2]}), part)
    with atomic_path(tmp_path / "x.safetensors") as part:
        save_file({"values": values}, part)
    assert tree(tmp_path) == {"x.npy", "x.npz", "x.parquet", "x.safetensors"}
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), values)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npz")["values"], values)
    assert pq.read_table(tmp_path / "x.parquet").to_pydict() == {"a": [1, 2]}
    np.testing.assert_array_equal(load_file(tmp_path / "x.safetensors")["values"], values)


def test_the_temporary_path_is_hidden_beside_the_target_and_unique(tmp_path):
    """Two writers of one file do not meet; the last to end has written it."""
    path = tmp_path / "x.npy"
    with atomic_path(path) as first:
        first.write_bytes(b"first")
        with atomic_path(path) as second:
            second.write_bytes(b"second")
        assert path.read_bytes() == b"second"
        assert first != second
        for part in (first, second):
            assert part.parent == tmp_path
            assert re.fullmatch(r"\.part-[0-9a-f]{8}-x\.npy", part.name)
    assert path.read_bytes() == b"first"
    assert tree(tmp_path) == {"x.npy"}


# -------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_writer_that_raises_changes_nothing(tmp_path, old, error):
    """Whatever was there stays, nothing temporary is left, and the exception comes through."""
    path = tmp_path / "x"
    if old is not None:
        path.write_bytes(old)
    with pytest.raises(error), atomic_path(path) as part:
        part.write_bytes(b"half")
        raise error
    with pytest.raises(error), atomic_path(path):
        raise error  # before anything was written
    with pytest.raises(ValueError, match="no more"):
        write_lines(path, failing(["a\n", "b\n"]))
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half \ud800")
    assert (path.read_bytes() if path.exists() else None) == old
    assert tree(tmp_path) == (set() if old is None else {"x"})


@pytest.mark.parametrize("operation", ["fsync", "replace"])
def test_an_os_error_changes_nothing(tmp_path, monkeypatch, operation):
    """A full or broken disk leaves the old file."""
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def broken(*args):
        raise OSError(errno.ENOSPC, "disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, operation, broken)
        with pytest.raises(OSError, match="disk full"):
            write_text(path, "new")
    assert path.read_bytes() == b"old"
    assert tree(tmp_path) == {"x"}


def test_a_block_that_writes_elsewhere_is_an_error(tmp_path):
    """Nothing at the temporary path must not become an empty file, or no folder."""
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with pytest.raises(FileNotFoundError), atomic_path(path):
        pass
    with pytest.raises(FileNotFoundError), atomic_folder(tmp_path / "folder"):
        pass
    (tmp_path / "kept").mkdir()
    with pytest.raises(FileNotFoundError), atomic_folder(tmp_path / "kept", replace=True):
        pass
    assert path.read_bytes() == b"old"
    assert tree(tmp_path) == {"x", "kept"}


KILLED = """
import os, signal, sys
from pathlib import Path
from search_r3.files import atomic_folder, atomic_path, write_lines

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

def lines():
    for _ in range(100_000):
        yield "new\\n"
    kill()

path = Path(sys.argv[1])
match sys.argv[2]:
    case "lines":
        write_lines(path, lines())
    case "path":
        with atomic_path(path) as part:
            part.write_bytes(b"half")
            kill()
    case "fsync":
        os.fsync = lambda descriptor: kill()
        write_lines(path, ["new\\n"])
    case "folder":
        with atomic_folder(path, replace=True) as part:
            part.mkdir()
            (part / "half").write_bytes(b"half")
            kill()
"""


@pytest.mark.parametrize("moment", ["lines", "path", "fsync", "folder"])
def test_a_kill_leaves_the_old_content(tmp_path, moment):
    """Killed in the middle of writing: the old is there, and one hidden leftover that can be removed."""
    path = tmp_path / "x.txt"
    if moment == "folder":
        path.mkdir()
    file = path / "old" if moment == "folder" else path
    file.write_bytes(b"old")
    before = tree(tmp_path)
    run = subprocess.run([sys.executable, "-c", KILLED, path, moment])
    assert run.returncode == -signal.SIGKILL
    assert file.read_bytes() == b"old"
    (left,) = set(tmp_path.iterdir()) - {path}
    assert re.fullmatch(r"\.part-[0-9a-f]{8}-x\.txt", left.name)
    assert list(tmp_path.glob("[!.]*.txt")) == [path]
    remove_leftovers(tmp_path)
    assert tree(tmp_path) == before


def test_leftovers_of_one_target(tmp_path):
    """Those of the name go, nested ones too; others, and what only looks like one, stay."""
    gone = [".part-0123abcd-a.b", ".part-0123abcd-.part-89ef4567-a.b"]
    kept = ["a.b", ".part-0123abcd-xa.b", ".part-0123abcd-x-a.b", ".part-0123abcg-a.b", ".part-0123abcd-"]
    for name in gone + kept:
        (tmp_path / name).touch()
    (tmp_path / ".part-00000000-a.b").mkdir()
    (tmp_path / ".part-00000000-a.b" / "file").touch()
    remove_leftovers(tmp_path, "a.b")
    assert tree(tmp_path) == set(kept)
    remove_leftovers(tmp_path)
    assert tree(tmp_path) == {"a.b", ".part-0123abcg-a.b", ".part-0123abcd-"}


# ------------------------------------------------------------------------------------ permissions, disk


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_permissions_follow_the_umask(tmp_path, umask):
    """As of any new file or folder, also where the library makes its file private."""
    previous = os.umask(umask)
    try:
        write_text(tmp_path / "text", "x")
        write_lines(tmp_path / "lines", ["x"])
        with atomic_path(tmp_path / "library") as part:
            save_file({"x": np.zeros(2)}, part)
            part.chmod(0o600)
        with atomic_folder(tmp_path / "folder") as part:
            (part / "inside").mkdir(parents=True)
            save_file({"x": np.zeros(2)}, part / "inside" / "weights")
            (part / "inside" / "weights").chmod(0o600)
            (part / "program").touch()
            (part / "program").chmod(0o700)
    finally:
        os.umask(previous)
    inside = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "folder").rglob("*")}
    assert inside == {"inside": 0o777 & ~umask, "weights": 0o666 & ~umask, "program": 0o700}
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes.pop("folder") == 0o777 & ~umask
    assert modes == dict.fromkeys(["text", "lines", "library"], 0o666 & ~umask)


@pytest.fixture
def disk(monkeypatch):
    """Records what is synced, with a file's size at that moment, and what is renamed."""
    log = []
    fsync, replace, rename = os.fsync, os.replace, os.rename

    def short(path):
        return re.sub(r"^(\.part)-[0-9a-f]{8}", r"\1", Path(path).name)

    def record_fsync(descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        log.append(("fsync", short(path), None if path.is_dir() else path.stat().st_size))
        fsync(descriptor)

    def record_replace(source, target):
        log.append(("replace", short(source), short(target)))
        replace(source, target)

    def record_rename(source, target):
        log.append(("rename", short(source), short(target)))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_replace)
    monkeypatch.setattr(os, "rename", record_rename)
    return log


@pytest.mark.skipif(sys.platform != "linux", reason="reads names of descriptors from /proc")
def test_content_reaches_the_disk_before_the_name(tmp_path, disk):
    """The whole file is synced, then renamed, then the folder is synced; new folders are synced as well."""
    folder = tmp_path / "a" / "b"
    write_lines(folder / "x", ["one\n", "two\n"])
    assert disk[:2] == [("fsync", "a", None), ("fsync", tmp_path.name, None)]
    assert disk[2:] == [("fsync", ".part-x", 8), ("replace", ".part-x", "x"), ("fsync", "b", None)]
    disk.clear()
    write_bytes(folder / "x", bytes(100))
    assert disk == [("fsync", ".part-x", 100), ("replace", ".part-x", "x"), ("fsync", "b", None)]


@pytest.mark.skipif(sys.platform != "linux", reason="reads names of descriptors from /proc")
def test_a_whole_folder_reaches_the_disk_before_its_name(tmp_path, disk):
    """Every file and folder inside is synced before the rename; links, which have no content, are not."""
    with atomic_folder(tmp_path / "model") as part:
        (part / "inner").mkdir(parents=True)
        (part / "inner" / "weights").write_bytes(bytes(100))
        (part / "inner" / "read-only").write_bytes(bytes(3))
        (part / "inner" / "read-only").chmod(0o444)
        (part / "link").symlink_to("nowhere")
        assert disk == []
    assert sorted(disk[:-2]) == [
        ("fsync", ".part-model", None),
        ("fsync", "inner", None),
        ("fsync", "read-only", 3),
        ("fsync", "weights", 100),
    ]
    assert disk[-2:] == [("rename", ".part-model", "model"), ("fsync", tmp_path.name, None)]
    assert tree(tmp_path) == {
        "model",
        "model/inner",
        "model/inner/weights",
        "model/inner/read-only",
        "model/link",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="reads names of descriptors from /proc")
def test_folders_are_not_synced_where_the_system_cannot(tmp_path, disk, monkeypatch):
    """Without O_DIRECTORY, as on Windows, files alone are synced, and opened for writing."""
    monkeypatch.setattr(files, "_SYNCS_FOLDERS", False)
    opened, real = {}, os.open

    def record(path, flags, *args):
        opened[Path(path).name.rpartition("-")[2]] = flags
        return real(path, flags, *args)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", record)
        write_text(tmp_path / "new" / "x", "text")
    assert disk == [("fsync", ".part-x", 4), ("replace", ".part-x", "x")]
    assert opened == {"x": os.O_RDWR}
    disk.clear()
    with atomic_folder(tmp_path / "model") as part:
        (part / "inner").mkdir(parents=True)
        (part / "inner" / "weights").write_bytes(bytes(100))
    assert disk == [("fsync", "weights", 100), ("rename", ".part-model", "model")]


def test_the_system_says_whether_folders_are_synced():
    """The capability is read from the system: Linux and macOS have it."""
    assert files._SYNCS_FOLDERS is (os.name == "posix")


@pytest.mark.skipif(os.name != "posix", reason="only there folders are synced")
@pytest.mark.parametrize(("code", "passes"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_a_file_system_without_fsync_for_folders(tmp_path, monkeypatch, code, passes):
    """Its answer for a folder is taken; any other error, or the same for a file, is raised."""
    real = os.fsync

    def answer(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, "no")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", answer)
        if passes:
            write_text(tmp_path / "x", "text")
        else:
            with pytest.raises(OSError, match="no"):
                write_text(tmp_path / "x", "text")
    assert (tmp_path / "x").read_text() == "text"  # the rename was before

    def refuse(descriptor):
        raise OSError(code, "no")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="no"):
        write_text(tmp_path / "x", "other")
    assert (tmp_path / "x").read_text() == "text"
    assert tree(tmp_path) == {"x"}


# --------------------------------------------------------------------------------------------- folders


def test_folder_appears_whole(tmp_path):
    """It is not there before the end of the block, and has then all that was written."""
    with atomic_folder(tmp_path / "model") as part:
        assert part.parent == tmp_path
        assert not part.exists()
        (part / "inner").mkdir(parents=True)
        (part / "inner" / "x").write_text("x")
        assert not (tmp_path / "model").exists()
    assert tree(tmp_path) == {"model", "model/inner", "model/inner/x"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [False, True])
def test_folder_whose_writer_raises(tmp_path, error, old):
    """No new folder appears, nothing temporary is left, and one that was to be replaced stays."""
    if old:
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "old").write_text("old")
    before = tree(tmp_path)
    with pytest.raises(error), atomic_folder(tmp_path / "model", replace=old) as part:
        part.mkdir()
        (part / "half").write_text("x")
        raise error
    assert tree(tmp_path) == before


def test_an_existing_folder_is_refused(tmp_path):
    """At the start, before any work; an empty one and a file count too."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    for name in ("folder", "file"):
        with (
            pytest.raises(FileExistsError, match=f"{name} exists, and a folder is never overwritten: remove"),
            atomic_folder(tmp_path / name),
        ):
            raise AssertionError("the block must not begin")
    assert tree(tmp_path) == {"folder", "file"}
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_another_process_was_faster(tmp_path, kind):
    """What appeared at the target meanwhile stays as it is, and ours is removed."""
    target = tmp_path / "model"
    with pytest.raises(FileExistsError, match="model exists"), atomic_folder(target) as part:
        part.mkdir()
        (part / "ours").touch()
        if kind == "folder":
            target.mkdir()
        (target / "theirs" if kind == "folder" else target).touch()
    assert tree(tmp_path) == ({"model", "model/theirs"} if kind == "folder" else {"model"})


def test_folder_replaces_the_old_one_when_told_to(tmp_path):
    """Nothing of the old folder is left in the new one; it is there until the new one is complete."""
    for name in ("first", "second"):
        with atomic_folder(tmp_path / "model", replace=True) as part:
            part.mkdir()
            (part / name).touch()
            assert (tmp_path / "model" / "first").exists() == (name == "second")
    assert tree(tmp_path) == {"model", "model/second"}


def test_nested_folders(tmp_path):
    """A function that itself makes a folder atomically may write the temporary one."""
    with atomic_folder(tmp_path / "model") as outer:
        with atomic_folder(outer) as inner:
            inner.mkdir()
            (inner / "x").touch()
        (outer / "y").touch()
    assert tree(tmp_path) == {"model", "model/x", "model/y"}


# ---------------------------------------------------------------------------------------------- hashes


@pytest.mark.parametrize("size", [0, 1, 1_000_003])
def test_hashes_are_hashlibs(tmp_path, size):
    """Of a file and of bytes; the published value of "abc" as well."""
    data = np.random.default_rng(size).bytes(size)
    (tmp_path / "x").write_bytes(data)
    assert file_sha256(tmp_path / "x") == bytes_sha256(data) == hashlib.sha256(data).hexdigest()
    assert bytes_sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_hash_of_a_missing_file(tmp_path):
    """It is not the hash of nothing."""
    with pytest.raises(FileNotFoundError):
        file_sha256(tmp_path / "x")


# ------------------------------------------------------------------------------------------ the package


def test_no_other_module_does_this_itself():
    """Temporary names, fsync and streamed hashes are here alone, in the package and in its programs."""
    own = re.compile(
        r"""["'.]\.?part["']|\.tmp\b|fsync|file_digest|mkdtemp|shutil\.move|read_bytes\(\)\)\.hex"""
    )
    package = Path(search_r3.__file__).parent
    programs = [package.parent / "train", package.parent / "benchmarks"]
    found = {
        path.relative_to(package.parent).as_posix(): own.findall(path.read_text(encoding="utf-8"))
        for folder in (package, *programs)
        for path in folder.rglob("*.py")
    }
    assert [name for name, hits in found.items() if hits] == ["search_r3/files.py"]
