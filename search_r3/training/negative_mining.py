"""Hard negatives mined with the model that is trained, kept in a folder beside the training sets."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from search_r3.data.mining import mine_negatives
from search_r3.data.pairs import TrainingPair, pairs_hash, read_pairs, read_training_set, write_pairs
from search_r3.errors import DataError, InvalidOptionError
from search_r3.files import write_text
from search_r3.model.fingerprint import fingerprint
from search_r3.model.sentence_transformer import SearchR3
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
    noted = _read(output / MINED) if (output / MINED).is_file() else {}
    if noted and (differing := sorted(key for key, value in made.items() if noted.get(key) != value)):
        raise InvalidOptionError(
            f"{output} holds negatives that were mined with another {', '.join(differing)}: choose another "
            "output, or remove the folder."
        )
    noted = {**made, "environment": describe_environment(), "sources": noted.get("sources", {})}
    for source in sources:
        every = read_training_set(source)
        source_hash, target = pairs_hash(every), output / f"{source}.parquet"
        if noted["sources"].get(source, {}).get("source_hash") == source_hash and target.is_file():
            on_step(f"{source}: mined before")
            continue
        found = _mined(every, model, pairs, batch_size)
        write_pairs(found, target)
        with_negatives = sum(bool(pair.negatives) for pair in found)
        noted["sources"][source] = {
            "pairs": len(found),
            "with_negatives": with_negatives,
            "source_hash": source_hash,
            "data_hash": pairs_hash(found),
        }
        write_text(output / MINED, json.dumps(noted, indent=2) + "\n")
        on_step(f"{source}: {len(found):,} pairs, {with_negatives:,} with negatives")


def read_notes(folder: Path, sources: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Read what a folder says of those of some sources that are in it.

    Raises:
        DataError: It holds none of them, or does not say.
    """
    if not (folder / MINED).is_file():
        raise DataError(f"{folder} holds no mined negatives. Mine them with: search-r3 mine")
    noted = _read(folder / MINED).get("sources", {})
    found = {source: noted[source] for source in sources if source in noted}
    if not found:
        raise DataError(
            f"{folder} holds mined negatives of {', '.join(noted)}, and of none of this run's sources. Mine "
            "them with: search-r3 mine"
        )
    return found


def read_mined(
    folder: Path, source: str, notes: Mapping[str, dict[str, Any]], source_hash: str
) -> list[TrainingPair]:
    """Read the mined pairs of a source.

    Args:
        folder: The folder.
        source: Name of a training set in it.
        notes: What :func:`read_notes` gave.
        source_hash: Hash of the training set as it is now.

    Raises:
        DataError: The file is damaged, or the training set has changed since.
    """
    path = folder / f"{source}.parquet"
    if notes[source]["source_hash"] != source_hash:
        raise DataError(f"{path} was mined from another state of the training set {source}: mine it again.")
    found = read_pairs(path)
    if pairs_hash(found) != notes[source]["data_hash"]:
        raise DataError(f"{path} is not what was mined. Delete it, and mine it again.")
    return found


def _mined(every: list[TrainingPair], model: SearchR3, count: int, batch_size: int) -> list[TrainingPair]:
    # By a hash, so that the sample is spread over the source and does not depend on its order.
    chosen = sorted(every, key=lambda pair: hashlib.sha256(pair.query_id.encode()).digest())[:count]
    answers: dict[str, set[str]] = defaultdict(set)  # of pairs outside of the sample too
    for pair in every:
        answers[pair.query.casefold()].add(pair.positive.casefold())
    found = []
    for pair, mined in zip(chosen, mine_negatives(chosen, model, batch_size=batch_size), strict=True):
        right = answers[pair.query.casefold()]
        wrong = (text for text in mined.negatives if text.casefold() not in right)
        found.append(replace(pair, negatives=tuple(dict.fromkeys((*wrong, *pair.negatives)))))
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        notes: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read {path}: {error}. Remove the folder and mine again.") from None
    return notes
