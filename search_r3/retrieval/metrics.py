"""Retrieval quality of a run, as trec_eval measures it."""

from __future__ import annotations

import math

import numpy as np
import pytrec_eval

from search_r3.errors import InvalidInputError

_TREC_MEASURES = {"ndcg_at_10": "ndcg_cut.10", "recall_at_100": "recall.100", "reciprocal_rank": "recip_rank"}


def ndcg_at_10(qrels: dict[str, dict[str, int]], run: dict[str, dict[str, float]]) -> dict[str, float]:
    """Compute nDCG@10 of every judged query; :func:`measure` says how, and what it raises.

    Returns:
        nDCG@10, between 0 and 1, of every query in ``qrels``; 0 for one that the run does not have.
    """
    return {query_id: scores["ndcg_at_10"] for query_id, scores in measure(qrels, run).items()}


def all_at_10(qrels: dict[str, dict[str, int]], run: dict[str, dict[str, float]]) -> dict[str, float]:
    """Say of every judged query whether all of its relevant documents are among the first ten.

    Of questions that take several passages it is the share that can be answered from ten. Documents with
    equal scores are ordered as by :func:`measure`.

    Returns:
        1 or 0 for every query in ``qrels``; 0 for one without a relevant document.
    """
    found = {}
    for query_id, grades in qrels.items():
        relevant = {doc_id for doc_id, grade in grades.items() if grade > 0}
        scores = run.get(query_id, {})
        first = sorted(scores, key=lambda doc_id: (np.float32(scores[doc_id]), doc_id), reverse=True)[:10]
        found[query_id] = float(bool(relevant) and relevant <= set(first))
    return found


def drop_same_id(run: dict[str, dict[str, float]]) -> None:
    """Take the document with the id of the query out of every query's results, in place.

    BEIR always does so, and mteb for tasks such as ArguAna, whose queries are documents themselves.
    """
    for query_id, scores in run.items():
        scores.pop(query_id, None)


def measure(
    qrels: dict[str, dict[str, int]], run: dict[str, dict[str, float]]
) -> dict[str, dict[str, float]]:
    """Compute the measures of every judged query, as trec_eval does.

    - ``ndcg_at_10``: linear gain, discount log2(rank + 1);
    - ``recall_at_100``: share of the relevant documents among the first 100;
    - ``reciprocal_rank``: 1 / rank of the first relevant document in the whole run, 0 if there is none.

    trec_eval orders a query's documents by score alone: the order of the run's dictionaries does not matter,
    scores are compared in single precision, and equal scores are ordered by document id, last id first.
    Queries of the run without judgements are left out. A judged query without a relevant document has 0 in
    every measure. A relevant document that was not retrieved counts as missed, in a corpus or not.

    Args:
        qrels: For every query id, the grade of every judged document. Grades of 0 and below are not relevant.
        run: For every query id, the score of every retrieved document; higher is better.

    Returns:
        The three measures, each between 0 and 1, of every query in ``qrels``; 0 for one that the run does not
        have.

    Raises:
        InvalidInputError: A query in ``qrels`` has no judgement, or a score is not a number.
    """
    for query_id, grades in qrels.items():
        if not grades:
            raise InvalidInputError(
                f"got query {query_id!r} without a judgement; wanted a grade of some document; "
                "take the query out of the judgements",
                item=query_id,
            )
        for doc_id, score in run.get(query_id, {}).items():
            # A sort that meets a NaN leaves the documents in any order, and gives a plausible wrong number.
            if math.isnan(score):
                raise InvalidInputError(
                    f"got the score NaN for document {doc_id!r} of query {query_id!r}; wanted a number; "
                    "look for the cause in the embeddings or in the scoring",
                    item=query_id,
                )
    measured = pytrec_eval.RelevanceEvaluator(qrels, set(_TREC_MEASURES.values())).evaluate(run)
    # pytrec_eval leaves out the queries which the run does not have; a mean without them would flatter it.
    return {
        query_id: {
            name: measured.get(query_id, {}).get(trec_name.replace(".", "_"), 0.0)
            for name, trec_name in _TREC_MEASURES.items()
        }
        for query_id in qrels
    }
