"""Which examples a supervised run sees, each with a thought or without.

- *Direct embedding*: the embed token follows the query at once.
- *Embedding after a thought*: a thought, then the embed token. Some thoughts are cut at a random length and
  get the token there, as at run time when a budget is spent.

An example is *taught* if the model is to learn to write it, and not only to embed after it:

- a thinking example teaches thoughts that help (a cut one without its end). The others are read without being
  taught, as often as they come: at run time the model reads its bad thoughts too, and must not trust them;
- a direct example teaches the embed token as the first token, for queries that none of the thoughts that did
  not see the answer helps: this is what ``reasoning="auto"`` decides by.

A thought may be about passages (evidence), which the query then reads before. An empty thought about passages
teaches to skip the thought after reading them; so does an example of a set without thoughts that reads what
its own search may have found (``reads``). In the place of a thought about passages there may be a wrong name
or nothing (``wrong_share``, ``empty_share``), which is not taught: the vector must do without it. The direct
example of such a query has the passage as its positive as often as the answer, and no hard negative: the
passage is among these.
"""

from __future__ import annotations

import itertools
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from search_r3.data.pairs import TrainingPair
from search_r3.data.thought_records import ThoughtRecord
from search_r3.training.sft_config import DataConfig, SourceConfig

_NAME = re.compile(r"[A-Z][\w'-]+(?: [A-Z][\w'-]+)*")
"""Words in a row that begin with a capital letter."""


@dataclass(frozen=True)
class Example:
    """One query with its positive, its negatives, and its thought if it has one.

    Attributes:
        query: The query's text.
        thought: What was thought; None gives the direct embedding.
        kept_share: Share of the thought's tokens that is kept, above 0; below 1 it is a cut one.
        evidence: Passages that the query reads before.
        is_finished: Whether the thought came to its own end, which can then be learnt.
        is_taught: Whether the model learns to write what stands between query and embedding.
        positive: Text of the relevant document.
        negatives: Texts of hard negatives.
        source: The training set it comes from.
    """

    query: str
    thought: str | None
    kept_share: float
    is_taught: bool
    positive: str
    negatives: tuple[str, ...]
    source: str
    is_finished: bool = True
    evidence: tuple[str, ...] = ()

    def to_row(self) -> dict[str, object]:
        """The example as a row of a ``datasets.Dataset``."""
        return {**asdict(self), "negatives": list(self.negatives), "evidence": list(self.evidence)}

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Example:
        """The example of a row that :meth:`to_row` gave."""
        tuples = {"negatives": tuple(row["negatives"]), "evidence": tuple(row["evidence"])}
        return cls(**{**row, **tuples})


def texts_by_source(examples: Sequence[Example]) -> dict[str, list[str]]:
    """The documents of each source's examples, each text once."""
    texts: dict[str, dict[str, None]] = defaultdict(dict)
    for example in examples:
        texts[example.source] |= dict.fromkeys((example.positive, *example.negatives))
    return {source: list(own) for source, own in texts.items()}


def draw_examples(
    pairs: dict[str, list[TrainingPair]],
    thoughts: Sequence[ThoughtRecord],
    config: DataConfig,
    seed: int,
) -> list[Example]:
    """Draw the examples of a run; the same arguments give the same ones.

    Args:
        pairs: Training pairs of every source in ``config``, those of the dev split taken out.
        thoughts: Thoughts about them.
        config: How many, and the share with a thought.
        seed: Seed of the draws.
    """
    about: dict[tuple[str, str], list[ThoughtRecord]] = defaultdict(list)
    for record in thoughts:
        about[record.source, record.query_id].append(record)
    examples: list[Example] = []
    for name, source in config.sources.items():
        generator = random.Random(f"{seed} {name}")
        order = sorted(pairs[name], key=lambda pair: pair.query_id)
        drawn: list[Example] = []
        for epoch in itertools.count():
            if not order or len(drawn) >= source.examples:
                break
            generator.shuffle(order)
            # What there are thoughts about comes first: a thought costs more than a pair.
            order.sort(key=lambda pair: not about[name, pair.query_id])
            for pair in order[: source.examples - len(drawn)]:
                # Draws of its own, so that a thought about another pair does not change them.
                own = random.Random(f"{seed} {epoch} {name} {pair.query_id}")
                example = _example(pair, about[name, pair.query_id], source, config, own)
                drawn.append(_doubted(example, config, own))
        examples += drawn
    return examples


def _doubted(example: Example, config: DataConfig, generator: random.Random) -> Example:
    """The example with a wrong thought or none in the place of a right one about passages, or as it is."""
    draw, pick = generator.random(), generator.randrange(1 << 30)
    if not (example.evidence and example.thought) or draw >= config.wrong_share + config.empty_share:
        return example
    thought = ""
    if draw < config.wrong_share:
        names = _other_names(example)
        if not names:
            return example
        thought = names[pick % len(names)]
    return replace(example, thought=thought, kept_share=1.0, is_taught=False)


def _other_names(example: Example) -> list[str]:
    """Names in the passages that neither the thought has nor the query asks about."""
    known = f"{example.thought} {example.query}".casefold()
    found = dict.fromkeys(name for passage in example.evidence for name in _NAME.findall(passage))
    return [name for name in found if name.casefold() not in known]


def _example(
    pair: TrainingPair,
    known: list[ThoughtRecord],
    source: SourceConfig,
    config: DataConfig,
    generator: random.Random,
) -> Example:
    is_reversed, thinks, is_cut, kept = (generator.random() for _ in range(4))
    pick = generator.randrange(1 << 30)
    reads = generator.random()
    if is_reversed < source.reversed:
        return Example(pair.positive, None, 1.0, False, pair.query, (), pair.source)
    negatives = pair.negatives[: source.negatives] if len(pair.negatives) >= source.negatives else ()
    if known and thinks < config.thinking_share:
        chosen = known[pick % len(known)]
        kept_share = kept if is_cut < config.cut_share else 1.0
        return Example(
            pair.query,
            chosen.thought,
            max(kept_share, 1e-6),
            chosen.helps,
            pair.positive,
            negatives,
            pair.source,
            chosen.is_finished,
            chosen.evidence,
        )
    if not known and reads < source.reads and pair.negatives:
        found = (pair.positive, *pair.negatives[:2])
        passage = (found[pick % len(found)],)
        return Example(pair.query, "", 1.0, True, pair.positive, (), pair.source, True, passage)
    own = [record for record in known if record.origin != "terms" and not record.evidence]
    skips = bool(own) and not any(record.helps for record in own)
    read = [text for record in known if record.thought for text in record.evidence]
    if read:
        # The first search has to find what is read as well as what answers.
        positive = (pair.positive, read[0])[pick % 2]
        return Example(pair.query, None, 1.0, skips, positive, (), pair.source)
    return Example(pair.query, None, 1.0, skips, pair.positive, negatives, pair.source)
