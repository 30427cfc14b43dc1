"""A model's folder as it is published: weights, self-contained code, card, scores, licence, checksums."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from search_r3.errors import ModelError
from search_r3.files import atomic_folder, file_sha256
from search_r3.model.direct_export import export_direct
from search_r3.model.sentence_transformer import NOTICE, SearchR3

CHECKSUMS = "SHA256SUMS"
"""Lists every other file of a release; ``sha256sum -c`` reads it."""


def stage_release(
    model: SearchR3,
    folder: str | os.PathLike[str],
    texts: Mapping[str, str] | None = None,
    *,
    direct: bool = False,
) -> Path:
    """Write the files of a release.

    Args:
        model: The model, any adapter merged.
        folder: Where they go; it appears whole or not at all, and must not exist yet.
        texts: Further files by their path in the release, such as ``README.md`` and
            ``.eval_results/SciFact.yaml``.
        direct: Whether it gives direct embeddings only, in built-in modules; see
            :func:`search_r3.model.direct_export.export_direct`.

    Returns:
        ``folder``.

    Raises:
        FileExistsError: ``folder`` exists.
        InvalidOptionError: Direct embeddings of this model cannot be exported.
        ModelError: The export gives other direct embeddings.
    """
    folder = Path(folder)
    with atomic_folder(folder) as part:
        if direct:
            export_direct(model, part)
        else:
            model.save(str(part), create_model_card=False)
        if model.notice:
            (part / NOTICE).write_text(model.notice, encoding="utf-8")
        for name, text in (texts or {}).items():
            path = part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        lines = [f"{digest}  {name}\n" for name, digest in sha256_of_files(part).items()]
        (part / CHECKSUMS).write_text("".join(lines), encoding="utf-8")
    return folder


def sha256_of_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a release but the list of them, by path, in alphabetical order.

    What the Hub and its client add to a download is no part of it: ``.gitattributes`` and ``.cache``.
    """
    digests = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in (CHECKSUMS, ".gitattributes") and not name.startswith(".cache/"):
            digests[name] = file_sha256(path)
    return digests


def verify_release(folder: str | os.PathLike[str]) -> None:
    """Check the files of a release against its list.

    Raises:
        ModelError: There is no list, or a file is missing, another one, or not listed.
    """
    folder = Path(folder)
    path = folder / CHECKSUMS
    if not path.is_file():
        raise ModelError(f"{folder} has no {CHECKSUMS}: it is not a release.")
    rows = [line.partition("  ") for line in path.read_text(encoding="utf-8").splitlines()]
    listed = {name: digest for digest, _, name in rows}
    found = sha256_of_files(folder)
    if wrong := sorted(name for name in listed | found if listed.get(name) != found.get(name)):
        raise ModelError(
            f"{folder} is not what {CHECKSUMS} lists: {wrong[0]} is missing, changed or unknown "
            f"({len(wrong)} in all). Get it again."
        )
