"""Everything a run reads: training pairs and thoughts, divided into examples and a dev split."""

from __future__ import annotations

from dataclasses import dataclass, replace

from search_r3.data.leaks import LeakCheck
from search_r3.data.pairs import TrainingPair, pairs_hash, read_training_set
from search_r3.data.retrieval_task import RetrievalTask
from search_r3.data.thought_records import ThoughtRecord, read_thoughts, thoughts_path
from search_r3.errors import DataError
from search_r3.files import file_sha256
from search_r3.paths import data_dir
from search_r3.training.dev_split import asked_and_answers, split_pairs
from search_r3.training.examples import Example, draw_examples
from search_r3.training.negative_mining import read_mined, read_notes
from search_r3.training.sft_config import DataConfig


@dataclass(frozen=True)
class TrainingData:
    """What a run trains and is measured on.

    Attributes:
        examples: In the order of the sampler's indices.
        dev: Dev tasks by source.
        hashes: Hash of every source's pairs, and of the files of thoughts.
    """

    examples: list[Example]
    dev: dict[str, RetrievalTask]
    hashes: dict[str, str]


def load_training_data(config: DataConfig, seed: int) -> TrainingData:
    """Read the training sets with the thoughts they come with, hold out the dev split, draw the examples.

    Nothing is trained on that is or quotes what the dev split asks or answers, in whatever source.

    Args:
        config: What to read.
        seed: Decides the dev split and the examples.

    Raises:
        DataError: A set is missing or damaged, or the thoughts are about other queries.
    """
    notes = {} if config.negatives is None else read_notes(config.negatives, config.sources)
    pairs: dict[str, list[TrainingPair]] = {}
    dev: dict[str, RetrievalTask] = {}
    hashes: dict[str, str] = {}
    for name in config.sources:
        found = read_training_set(name)
        hashes[name] = pairs_hash(found)
        split = split_pairs(found, queries=config.dev_queries, documents=config.dev_documents, seed=seed)
        pairs[name] = split.training
        if config.negatives is not None and name in notes:
            mined = read_mined(config.negatives, name, notes, hashes[name])
            training_ids = {pair.query_id for pair in split.training}
            pairs[name] = [pair for pair in mined if pair.query_id in training_ids]
            hashes[f"{name}, mined"] = notes[name]["data_hash"]
        if split.dev is not None:
            dev[name] = split.dev
    # One article may be asked for in several sources, with other words and other cuts of its text.
    check = LeakCheck(text for task in dev.values() for text in asked_and_answers(task))
    for name, source in config.sources.items():
        if source.examples:
            pairs[name] = [
                pair for pair in pairs[name] if not (check.leaks(pair.query) or check.leaks(pair.positive))
            ]
        if name in notes:  # the split has taken out pairs with such negatives, but it does not know the mined
            pairs[name] = [
                replace(pair, negatives=tuple(text for text in pair.negatives if not check.leaks(text)))
                for pair in pairs[name]
            ]
    known = {(name, pair.query_id) for name, some in pairs.items() for pair in some}
    thoughts, of_thoughts = _thoughts(config, known)
    thoughts = [one for one in thoughts if not any(map(check.leaks, one.evidence))]
    hashes |= of_thoughts
    return TrainingData(draw_examples(pairs, thoughts, config, seed), dev, hashes)


def _thoughts(config: DataConfig, known: set[tuple[str, str]]) -> tuple[list[ThoughtRecord], dict[str, str]]:
    """Thoughts about known queries (source, id): those that sets come with, and those of the run's file."""
    thoughts: list[ThoughtRecord] = []
    hashes: dict[str, str] = {}
    for name in config.sources:
        own = thoughts_path(data_dir(), name)
        if own.is_file():
            thoughts += [one for one in read_thoughts(own) if (one.source, one.query_id) in known]
            hashes[f"{name}, thoughts"] = file_sha256(own)
    if config.thoughts is not None:
        given = [one for one in read_thoughts(config.thoughts) if (one.source, one.query_id) in known]
        if not given:
            raise DataError(f"{config.thoughts} has no thought about a training query of this run.")
        thoughts += given
        hashes["thoughts"] = file_sha256(config.thoughts)
    return thoughts, hashes
