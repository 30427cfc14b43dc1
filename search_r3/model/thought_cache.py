"""Thoughts that were written before: a query that comes again costs no more than one that does not think.

Greedy thoughts depend on the model, its template and limits, the query with its passages and instruction, and
the options. A key is the hash of all of these, so a changed model finds nothing of the one before. The vector
is computed again, in one forward pass over query and thought.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from search_r3.arguments import as_list, checked_list
from search_r3.errors import InvalidOptionError
from search_r3.model.fingerprint import fingerprint
from search_r3.model.sentence_transformer import QueryEncoding, SearchR3
from search_r3.model.thought_store import Entry, ThoughtStore
from search_r3.model.thoughts import Thought

_PART_OF_THE_KEY = {"reasoning", "max_reasoning_tokens", "prompt", "prompt_name"}
_NOT_OF_THE_KEY = {
    "batch_size", "show_progress_bar", "device", "normalize_embeddings", "on_thought", "on_truncation",
}  # fmt: skip


class ThoughtCache:
    """Keeps thoughts in memory, and in a file if asked to; threads and processes may share the file.

    Args:
        model: The model whose thoughts are kept. Its weights are hashed once: after a change of the weights
            make a new cache. A changed template, limit or default is seen by itself.
        path: File that outlives the process; None keeps thoughts in memory alone.
        max_entries: Most thoughts in memory, and in the file; those that were not used for longest go first.

    Raises:
        InvalidOptionError: ``max_entries`` is less than 1.
        DataError: The file cannot be used; see :class:`ThoughtStore`.
    """

    def __init__(self, model: SearchR3, path: Path | None = None, *, max_entries: int = 100_000) -> None:
        if max_entries < 1:
            raise InvalidOptionError(f"Got max_entries={max_entries}, wanted 1 or more.")
        self._fingerprint = fingerprint(model)
        self._most = max_entries
        self._memory: OrderedDict[bytes, Entry] = OrderedDict()
        self._store = None if path is None else ThoughtStore(path, max_entries)
        self._lock = threading.Lock()

    def encode(
        self,
        model: SearchR3,
        queries: Iterable[str],
        *,
        evidence: Iterable[Sequence[str]] | None = None,
        **options: Any,
    ) -> QueryEncoding:
        """Embed queries as :meth:`SearchR3.encode_query_with_thoughts` does, known thoughts replayed.

        Sampled thoughts (``temperature`` above 0) are neither looked up nor kept.

        Args:
            model: The model that this cache was made for.
            queries: Q texts.
            evidence: Passages that each query reads, or None.
            **options: As there.

        Returns:
            The same vectors to 1e-5 in float32, and the same thoughts, with the endings they had when they
            were written.
        """
        texts = checked_list(queries, "queries")
        passages = None if evidence is None else [as_list(one) for one in checked_list(evidence, "evidence")]
        reasoning = options.get("reasoning") or model.reasoning_module.reasoning
        is_known_option = set(options) <= _PART_OF_THE_KEY | _NOT_OF_THE_KEY
        if not is_known_option or reasoning == "never" or len(texts) != len(passages or texts):
            return model.encode_query_with_thoughts(texts, evidence=passages, **options)
        shared = self._shared_key(model, options)
        keys = [
            hashlib.sha256(shared + _canonical([text, read])).digest()
            for text, read in zip(texts, passages or [[]] * len(texts), strict=True)
        ]
        known = self._look_up(keys)
        given = [Thought("", known[key][0], "given") if key in known else None for key in keys]
        found = model.encode_query_with_thoughts(texts, thoughts=given, evidence=passages, **options)
        fresh: dict[bytes, Entry] = {}
        thoughts: list[Thought] = []
        for key, thought in zip(keys, found.thoughts, strict=True):
            if key in known:
                ending: Any = known[key][1]
                thought = Thought(thought.text, thought.token_ids, ending)
            else:
                fresh[key] = (thought.token_ids, thought.ending)
            thoughts.append(thought)
        self._keep(fresh)
        return QueryEncoding(found.embeddings, thoughts, found.dropped_tokens, found.dropped_evidence_tokens)

    def close(self) -> None:
        """Close the file. What was kept is in it already."""
        if self._store is not None:
            self._store.close()

    def _shared_key(self, model: SearchR3, options: dict[str, Any]) -> bytes:
        asked = {name: options.get(name) for name in sorted(_PART_OF_THE_KEY)}
        for name in ("reasoning", "max_reasoning_tokens"):  # a default and its value give the same thought
            if asked[name] is None:
                asked[name] = getattr(model.reasoning_module, name)
        configuration = model.reasoning_module.get_config_dict()
        prompts = {"prompts": model.prompts, "limit": model.max_seq_length}
        return hashlib.sha256(_canonical([self._fingerprint, configuration, prompts, asked])).digest()

    def _look_up(self, keys: Sequence[bytes]) -> dict[bytes, Entry]:
        with self._lock:
            known = {}
            for key in keys:
                if key in self._memory:
                    self._memory.move_to_end(key)
                    known[key] = self._memory[key]
        missing = [key for key in dict.fromkeys(keys) if key not in known]
        if self._store is not None and missing:
            stored = self._store.read(missing)
            self._remember(stored)
            known |= stored
        return known

    def _keep(self, fresh: dict[bytes, Entry]) -> None:
        self._remember(fresh)
        if self._store is not None and fresh:
            self._store.write(fresh)

    def _remember(self, entries: dict[bytes, Entry]) -> None:
        with self._lock:
            for key, entry in entries.items():
                self._memory[key] = entry
                self._memory.move_to_end(key)
            while len(self._memory) > self._most:
                self._memory.popitem(last=False)


def encode_with(cache: ThoughtCache | None, model: SearchR3) -> Callable[..., QueryEncoding]:
    """The model's :meth:`SearchR3.encode_query_with_thoughts`, through a cache if there is one."""
    return model.encode_query_with_thoughts if cache is None else partial(cache.encode, model)


def _canonical(value: object) -> bytes:
    # Texts that are no valid Unicode must reach the model, whose error says so.
    return json.dumps(value, sort_keys=True, default=str).encode("utf-8", "surrogatepass")
