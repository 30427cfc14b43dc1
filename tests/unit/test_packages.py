import hashlib
import io
import re
import tarfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from search_r3 import packages
from search_r3.errors import DataError
from search_r3.packages import Package, fetch


def wheel(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def pinned(archive: Path, keep: Sequence[str], registry: str = "pypi", version: str = "1.0") -> Package:
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    return Package("thing", version, registry, "training", "MIT", digest, tuple(keep))


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def pip(tmp_path, monkeypatch):
    """Replace the Python that runs pip by a script, and count its runs."""
    log = tmp_path / "pip.log"

    def install(archive: Path, after: str = "exit 0") -> Path:
        script = (
            f'echo "$@" >> {log}\n'
            f'for a; do case "$a" in --dest=*) cp {archive} "${{a#--dest=}}/";; esac; done\n{after}'
        )
        monkeypatch.setattr(packages.sys, "executable", str(program(tmp_path / "bin" / "python", script)))
        return log

    return install


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


MEMBERS = {
    "thing/a.py": b"a = 1\n",
    "thing/deep/er/b.py": b"b = 2\n",
    "thing/c.so": b"\x7fELF",
    "thing-1.0.dist-info/RECORD": b"",
}


def test_fetch_keeps_the_wanted_files_only_and_downloads_once(tmp_path, pip):
    """Kept files have their names and bytes, empty folders go, and a second call runs no program."""
    archive = wheel(tmp_path / "thing-1.0-py3-none-any.whl", MEMBERS)
    log = pip(archive)
    package = pinned(archive, ["*.py"])
    got = fetch(package, tmp_path / "new" / "packages")
    assert got == tmp_path / "new" / "packages" / "thing-1.0"
    assert tree(got) == {name: MEMBERS[name] for name in ("thing/a.py", "thing/deep/er/b.py")}
    assert not (got / "thing-1.0.dist-info").exists()
    assert fetch(package, tmp_path / "new" / "packages") == got
    runs = log.read_text().splitlines()
    assert len(runs) == 1
    assert runs[0].startswith("-m pip download ") and runs[0].endswith(" thing==1.0")
    assert {"--no-deps", "--only-binary=:all:", "--python-version=3.11"} <= set(runs[0].split())
    assert [path.name for path in got.parent.iterdir()] == ["thing-1.0"]


def test_another_file_than_the_pinned_one_is_not_used(tmp_path, pip):
    """A wrong hash is an error with both hashes, and nothing of the file stays."""
    right = wheel(tmp_path / "right.whl", MEMBERS)
    package = pinned(right, ["*.py"])
    served = wheel(tmp_path / "thing-1.0-py3-none-any.whl", {**MEMBERS, "thing/a.py": b"import os\n"})
    pip(served)
    got = hashlib.sha256(served.read_bytes()).hexdigest()
    with pytest.raises(DataError, match=rf"thing 1\.0 has SHA-256 {got}, wanted {package.sha256}"):
        fetch(package, tmp_path / "packages")
    assert list((tmp_path / "packages").iterdir()) == []


@pytest.mark.parametrize("keep", [["*.py", "*/data.json"], ["*/data.json"], ["*.PY"]])
def test_missing_file_raises_and_leaves_nothing(tmp_path, pip, keep):
    """Every pattern must find a file; a half-right package does not appear."""
    archive = wheel(tmp_path / "thing-1.0-py3-none-any.whl", MEMBERS)
    pip(archive)
    with pytest.raises(DataError, match=rf"thing 1\.0 has no file \['{re.escape(keep[-1])}'\]"):
        fetch(pinned(archive, keep), tmp_path / "packages")
    assert list((tmp_path / "packages").iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 cut short"])
def test_archive_that_is_no_wheel_raises(tmp_path, pip, content):
    """A pinned file that is no zip archive is a DataError with its name."""
    archive = tmp_path / "thing-1.0-py3-none-any.whl"
    archive.write_bytes(content)
    pip(archive)
    with pytest.raises(DataError, match=r"thing-1\.0-py3-none-any\.whl is not a wheel"):
        fetch(pinned(archive, ["*.py"]), tmp_path / "packages")
    assert list((tmp_path / "packages").iterdir()) == []


def test_members_cannot_leave_the_folder(tmp_path, pip):
    """Members with .. or an absolute path stay inside the package's folder."""
    outside = tmp_path / "outside.py"
    names = ["../evil.py", "../../../evil.py", str(outside), "a/../../evil2.py", "ok.py"]
    archive = wheel(tmp_path / "thing-1.0-py3-none-any.whl", dict.fromkeys(names, b"pass\n"))
    pip(archive)
    before = set(tree(tmp_path))
    got = fetch(pinned(archive, ["*.py"]), tmp_path / "packages")
    assert (got / "ok.py").read_bytes() == b"pass\n"
    new = set(tree(tmp_path)) - before - {"pip.log"}
    assert all(name.startswith("packages/thing-1.0/") for name in new)
    assert not outside.exists()


def test_interrupted_run_leaves_no_half_folder_and_the_next_one_works(tmp_path, pip, monkeypatch):
    """Ctrl-C while unpacking leaves nothing that looks complete; calling again finishes the work."""
    archive = wheel(tmp_path / "thing-1.0-py3-none-any.whl", MEMBERS)
    pip(archive)
    package = pinned(archive, ["*.py"])
    unpack = packages._unpack_wheel

    def interrupted(archive: Path, target: Path) -> None:
        target.mkdir()
        (target / "half.py").write_text("x")
        raise KeyboardInterrupt

    monkeypatch.setattr(packages, "_unpack_wheel", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(package, tmp_path / "packages")
    assert list((tmp_path / "packages").iterdir()) == []
    monkeypatch.setattr(packages, "_unpack_wheel", unpack)
    (tmp_path / "packages" / ".fetching-killed" / "unpacked").mkdir(parents=True)  # a killed run's
    assert set(tree(fetch(package, tmp_path / "packages"))) == {"thing/a.py", "thing/deep/er/b.py"}


def test_failed_download_says_why_and_can_be_repeated(tmp_path, pip):
    """The message names the package, the remedy and what the program said; nothing stays behind."""
    archive = wheel(tmp_path / "thing-1.0-py3-none-any.whl", MEMBERS)
    pip(archive, after="echo 'No matching distribution' >&2; exit 1")
    said = r"thing==1\.0 from PyPI failed; check the network.*python said: No matching distribution"
    with pytest.raises(DataError, match=said):
        fetch(pinned(archive, ["*.py"]), tmp_path / "packages")
    assert list((tmp_path / "packages").iterdir()) == []
    pip(archive)
    assert (fetch(pinned(archive, ["*.py"]), tmp_path / "packages") / "thing/a.py").is_file()


def test_download_of_another_number_of_files_raises(tmp_path, pip):
    """Success without a file is no success."""
    archive = wheel(tmp_path / "thing-1.0.tar.gz", MEMBERS)
    pip(archive)
    with pytest.raises(DataError, match=r"Got \[\] for thing==1\.0, wanted one file"):
        fetch(pinned(archive, ["*.py"]), tmp_path / "packages")


def test_two_builds_at_once_share_the_package(tmp_path, pip):
    """If another process finishes the same package first, its folder is taken."""
    archive = wheel(tmp_path / "thing-1.0-py3-none-any.whl", MEMBERS)
    target = tmp_path / "packages" / "thing-1.0"
    pip(archive, after=f"mkdir -p {target}/thing; echo 'a = 1' > {target}/thing/a.py")
    assert fetch(pinned(archive, ["*/a.py"]), tmp_path / "packages") == target
    assert tree(target) == {"thing/a.py": b"a = 1\n"}


def test_missing_program_raises():
    """A program that is not installed is named, with the remedy."""
    with pytest.raises(DataError, match=r"There is no program no-such-program on this machine. Install it."):
        packages._run(["no-such-program", "x"], "Install it.")


def test_slow_program_is_stopped(tmp_path, monkeypatch):
    """The time-out ends the program and is a DataError with the remedy."""
    monkeypatch.setattr(packages, "_TIMEOUT_SECONDS", 0.2)
    slow = program(tmp_path / "slow", "exec sleep 20")
    began = time.monotonic()
    with pytest.raises(DataError, match=r"slow took more than 0\.2 s\. Try again\."):
        packages._run([str(slow)], "Try again.")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo out; exit 3", "Remedy. fake said: out"),
        ("echo out; echo err >&2; exit 3", "Remedy. fake said: err"),
        ("exit 3", "Remedy. fake said: $"),
        (r"printf 'caf\351' >&2; exit 3", "Remedy. fake said: caf"),
    ],
)
def test_failing_program_is_quoted(tmp_path, script, said):
    """What a failing program said, in whatever encoding, is in the message."""
    with pytest.raises(DataError, match=said):
        packages._run([str(program(tmp_path / "fake", script))], "Remedy.")


def test_program_that_cannot_start_raises(tmp_path):
    """A broken installation (here: a script whose interpreter is gone) is a DataError too."""
    broken = program(tmp_path / "broken", "")
    broken.write_text("#!/no/such/interpreter\n")
    with pytest.raises(DataError, match="broken"):
        packages._run([str(broken)], "Remedy.")


@pytest.fixture
def debian(tmp_path, monkeypatch):
    """An apt-get and a dpkg-deb on PATH: a Debian package is a file that unpacks to usr/share/words."""
    deb = tmp_path / "thing_1%3a2.0_all.deb"
    deb.write_bytes(b"!<arch>\n")
    log = tmp_path / "apt.log"
    program(
        tmp_path / "bin" / "apt-get",
        f'echo "$@" >> {log}\ncase "$1" in download) cp {deb} .;; esac',
    )
    program(
        tmp_path / "bin" / "dpkg-deb",
        '[ "$1" = -x ] || exit 2\nmkdir -p "$3/usr/share/doc"; cp "$2" "$3/usr/share/words"; '
        'ln -s ../words "$3/usr/share/doc/link"',
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return deb, log


def test_debian_package_is_fetched_with_our_own_lists(tmp_path, debian):
    """The version's epoch is no colon in the folder's name, and apt-get is told to use our folder only."""
    deb, log = debian
    folder = tmp_path / "packages"
    got = fetch(pinned(deb, ["usr/share/words"], "debian", "1:2.0"), folder)
    assert got == folder / "thing-1_2.0"
    assert tree(got) == {"usr/share/words": b"!<arch>\n"}
    assert not (got / "usr/share/doc").exists()
    runs = log.read_text().splitlines()
    assert runs[-1].startswith("download ") and runs[-1].endswith(" thing=1:2.0")
    assert f"-o=Dir::State::lists={folder.resolve() / 'apt-lists'}" in runs[-1].split()


def test_lists_are_downloaded_once(tmp_path, debian):
    """Complete lists are not downloaded again; a run that failed is."""
    _, log = debian
    assert packages.update_debian_lists(tmp_path / "p") == tmp_path / "p" / "apt-lists"
    packages.update_debian_lists(tmp_path / "p")
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["update"]
    apt = tmp_path / "bin" / "apt-get"
    working = apt.read_text()
    program(apt, "echo 'E: no' >&2; exit 100")
    said = r"Debian's lists need apt-get \(Debian or Ubuntu\) and its mirror;.* apt-get said: E: no"
    with pytest.raises(DataError, match=said):
        packages.update_debian_lists(tmp_path / "q")
    apt.write_text(working)
    packages.update_debian_lists(tmp_path / "q")
    assert len(log.read_text().splitlines()) == 2


def test_unreachable_mirror_is_no_success(tmp_path, debian):
    """apt-get 2.6 update ends with 0 if no mirror answers, unless it is told that any error counts."""
    program(
        tmp_path / "bin" / "apt-get",
        'case "$*" in *--error-on=any*|*-eany*|*Error-Mode=any*) echo "E: Failed to fetch" >&2; exit 100;; '
        'esac\necho "W: Failed to fetch" >&2',
    )
    with pytest.raises(DataError, match="Failed to fetch"):
        packages.update_debian_lists(tmp_path / "p")


def test_outdated_lists_are_renewed_once(tmp_path, debian):
    """When a file is gone from the mirror, the lists are fetched anew and the download is tried again."""
    deb, log = debian
    state = tmp_path / "released"
    program(
        tmp_path / "bin" / "apt-get",
        f'echo "$1" >> {log}\ncase "$1" in update) touch {state}.$(wc -l < {log});; '
        f"download) [ -e {state}.3 ] || exit 100; cp {deb} .;; esac",
    )
    got = fetch(pinned(deb, ["usr/share/words"], "debian", "1:2.0"), tmp_path / "packages")
    assert (got / "usr/share/words").is_file()
    assert log.read_text().split() == ["update", "download", "update", "download"]


def tarball(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """An npm on PATH that packs the archive it is given, and the log of its runs."""

    def install(archive: Path, after: str = "exit 0") -> Path:
        log = tmp_path / "npm.log"
        program(tmp_path / "bin" / "npm", f'echo "$@" >> {log}\ncp {archive} .\n{after}')
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
        return log

    return install


def test_npm_package_is_packed_and_unpacked(tmp_path, npm):
    """A scoped name makes no folder inside the folder, and no script of the package is run."""
    archive = tarball(tmp_path / "tea-thing-1.0.tgz", {"package/a.json": b"{}", "package/b.js": b"x"})
    log = npm(archive)
    package = replace(pinned(archive, ["package/*.json"], "npm"), name="@tea/thing")
    got = fetch(package, tmp_path / "packages")
    assert got == tmp_path / "packages" / "@tea_thing-1.0"
    assert tree(got) == {"package/a.json": b"{}"}
    assert fetch(package, tmp_path / "packages") == got
    assert log.read_text().splitlines() == ["pack --silent --ignore-scripts @tea/thing@1.0"]


def test_npm_package_with_another_hash_is_not_used(tmp_path, npm):
    """The pin counts for npm too."""
    archive = tarball(tmp_path / "thing-1.0.tgz", {"package/a.json": b"{}"})
    npm(tarball(tmp_path / "other.tgz", {"package/a.json": b"[]"}))
    with pytest.raises(DataError, match=r"thing 1\.0 has SHA-256"):
        fetch(pinned(archive, ["package/*.json"], "npm"), tmp_path / "packages")
    assert list((tmp_path / "packages").iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x1f\x8b\x08\x00 cut short"])
def test_archive_that_is_no_tarball_raises(tmp_path, npm, content):
    """A pinned file that is no compressed tar archive is a DataError with its name."""
    archive = tmp_path / "thing-1.0.tgz"
    archive.write_bytes(content)
    npm(archive)
    with pytest.raises(DataError, match=r"thing-1\.0\.tgz is not a package of npm"):
        fetch(pinned(archive, ["package/*"], "npm"), tmp_path / "packages")
    assert list((tmp_path / "packages").iterdir()) == []


def test_members_of_a_tarball_cannot_leave_the_folder(tmp_path, npm):
    """A member that climbs out of the folder makes the whole package unusable."""
    archive = tarball(tmp_path / "thing-1.0.tgz", {"package/ok.json": b"{}", "../../../evil.json": b"{}"})
    npm(archive)
    with pytest.raises(DataError, match="is not a package of npm"):
        fetch(pinned(archive, ["*"], "npm"), tmp_path / "packages")
    assert not list(tmp_path.rglob("evil.json"))
    assert list((tmp_path / "packages").iterdir()) == []


def test_npm_that_is_missing_or_fails_is_named(tmp_path, npm, monkeypatch):
    """Without npm, the message says where it comes from; if it fails, what it said."""
    archive = tarball(tmp_path / "thing-1.0.tgz", {"package/a.json": b"{}"})
    npm(archive, after="echo 'E404 not found' >&2; exit 1")
    with pytest.raises(DataError, match=r"Getting thing@1\.0 needs npm.* npm said: E404 not found"):
        fetch(pinned(archive, ["*"], "npm"), tmp_path / "packages")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=r"no program npm on this machine\..*comes with Node\.js"):
        fetch(pinned(archive, ["*"], "npm"), tmp_path / "packages")
