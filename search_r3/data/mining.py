"""Hard negatives for sources without a structure to take them from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from sentence_transformers import SentenceTransformer
from sentence_transformers.util import mine_hard_negatives

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import MOST_NEGATIVES
from search_r3.extras import needs_extra

with needs_extra("eval"):
    from datasets import Dataset

_MARGIN = 0.05


def mine_negatives(
    pairs: Sequence[TrainingPair], model: SentenceTransformer, *, batch_size: int = 64
) -> list[TrainingPair]:
    """Give each pair the positives of others that a model ranks next to its own.

    False negatives are filtered: another positive of the same query is none, nor is a document whose
    similarity to the query is above 95% of the positive's. A pair for which too few are left has none.

    Args:
        pairs: The pairs of one source.
        model: The model.
        batch_size: Texts per forward pass.
    """
    answers: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        answers[pair.query.casefold()].add(pair.positive.casefold())
    mined = mine_hard_negatives(
        Dataset.from_dict(
            {"query": [pair.query for pair in pairs], "positive": [pair.positive for pair in pairs]}
        ),
        model,
        range_max=30,
        relative_margin=_MARGIN,
        num_negatives=MOST_NEGATIVES,
        output_format="n-tuple",
        use_faiss=True,
        batch_size=batch_size,
        verbose=False,
    )
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for row in mined:
        negatives = [row[f"negative_{index}"] for index in range(1, MOST_NEGATIVES + 1)]
        right = answers[row["query"].casefold()]
        found[row["query"], row["positive"]] = tuple(
            dict.fromkeys(text for text in negatives if text.casefold() not in right)
        )
    return [replace(pair, negatives=found.get((pair.query, pair.positive), ())) for pair in pairs]
