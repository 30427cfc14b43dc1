"""Hard negatives mined with the model that is trained, kept in a folder beside the training sets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from search_r3.data.mining import mine_negatives
from search_r3.data.pairs import TrainingPair, pairs_hash, read_pairs, write_pairs
from search_r3.errors import DataError, InvalidOptionError
from search_r3.files import write_text
from search_r3.model.fingerprint import fingerprint
from search_r3.model.sentence_transformer import SearchR3
from search_r3.paths import data_dir
from search_r3.provenance import describe_environment

MINED = "mined.json"
"""Says how the files beside it were made."""


def mine_sources(
    model: SearchR3,
    sources: Sequence[str],
    output: Path,
    *,
    pairs: int,
    max_tokens: int,
    batch_size: int,
    on_step: Callable[[str], None],
) -> None:
    """Write ``<output>/<source>.parquet`` for every source: some of its pairs, mined negatives first.

    Negatives are positives of other pairs of the sample that the direct vectors rank next to the own one; see
    :func:`search_r3.data.mining.mine_negatives`. Negatives that a pair had come after them. A source whose
    file is there is not mined again.

    Args:
        model: The model; its options are changed.
        sources: Names of training sets.
        output: The folder.
        pairs: Most pairs of a source. The larger the sample, the harder are its negatives.
        max_tokens: Texts are cut here.
        batch_size: Texts per forward pass.
        on_step: Told what is done, a line for each source.

    Raises:
        DataError: A training set is missing or damaged.
        InvalidOptionError: The folder holds negatives that were mined with another model or other options.
    """
    module = model.reasoning_module
    module.reasoning, module.on_truncation = "never", "ignore"
    model.max_seq_length = min(model.max_seq_length or max_tokens, max_tokens)
    made = {"fingerprint": fingerprint(model), "pairs": pairs, "max_tokens": max_tokens}
    noted = _read_notes(output / MINED)
    if noted and (differing := sorted(key for key, value in made.items() if noted.get(key) != value)):
        raise InvalidOptionError(
            f"{output} holds negatives that were mined with another {', '.join(differing)}: choose another "
            "output, or remove the folder."
        )
    noted = {**made, "environment": describe_environment(), "sources": noted.get("sources", {})}
    for source in sources:
        target = output / f"{source}.parquet"
        if source in noted["sources"] and target.is_file():
            on_step(f"{source}: mined before")
            continue
        found = _mined(source, model, pairs, batch_size)
        write_pairs(found, target)
        with_negatives = sum(bool(pair.negatives) for pair in found)
        noted["sources"][source] = {
            "pairs": len(found),
            "with_negatives": with_negatives,
            "data_hash": pairs_hash(found),
        }
        write_text(output / MINED, json.dumps(noted, indent=2) + "\n")
        on_step(f"{source}: {len(found):,} pairs, {with_negatives:,} with negatives")


def read_mined(folder: Path, source: str) -> list[TrainingPair] | None:
    """Read the mined pairs of a source; None if the folder has none of it.

    Raises:
        DataError: There is no such folder, or the file is damaged.
    """
    if not (folder / MINED).is_file():
        raise DataError(f"{folder} holds no mined negatives. Mine them with: search-r3 mine")
    path = folder / f"{source}.parquet"
    return read_pairs(path) if path.is_file() else None


def _mined(source: str, model: SearchR3, count: int, batch_size: int) -> list[TrainingPair]:
    path = data_dir() / "training" / f"{source}.parquet"
    if not path.is_file():
        raise DataError(f"There is no training set {path}. Build them with: search-r3 data")
    # By a hash, so that the sample is spread over the source and does not depend on its order.
    order = sorted(read_pairs(path), key=lambda pair: hashlib.sha256(pair.query_id.encode()).digest())
    chosen = order[:count]
    return [
        replace(mined, negatives=tuple(dict.fromkeys((*mined.negatives, *pair.negatives))))
        for pair, mined in zip(chosen, mine_negatives(chosen, model, batch_size=batch_size), strict=True)
    ]


def _read_notes(path: Path) -> dict[str, Any]:
    try:
        notes: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read {path}: {error}. Remove the folder and mine again.") from None
    return notes
