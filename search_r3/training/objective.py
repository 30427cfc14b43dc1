"""The supervised objective: embed well with a thought and without, write useful ones, stay near the base.

    L = w1 * InfoNCE + w2 * next token + w3 * KL + w4 * triplet
        + w5 * distillation + w6 * ranking + w7 * hinge

The paper (arXiv 2510.07048) sums the first four plainly; its weights, temperature and margin are not known.
Deviations: the parts are weighted, the triplet part is off by default, and distillation from a small
embedder is ours: it gives a run of a few thousand steps a signal about every text, not only about pairs. So
are its scores of the batch's documents as soft targets (ranking); to these the cosine of TF-IDF vectors can
be added, which knows names that the small embedder confuses. Where its first document is not the positive, it
can be left out: the label knows better. Neither looks at a query's vector after a
thought: the teacher did not read the thought, and would teach the vector to ignore it. The hinge is ours too:
it asks that no thought, a wrong one included, makes its query worse than it is without one.
Contrastive, triplet and distillation losses are sentence-transformers' own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MatryoshkaLoss,
    MultipleNegativesRankingLoss,
    TripletLoss,
)
from sentence_transformers.sentence_transformer.losses.triplet import TripletDistanceMetric
from sentence_transformers.util import all_gather, all_gather_with_grad, cos_sim
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from search_r3.errors import InvalidOptionError
from search_r3.model.generation import last_hidden_states, next_token_logits
from search_r3.model.sentence_transformer import SearchR3
from search_r3.training.packing import embed_packed
from search_r3.training.ranking_losses import (
    Similarity,
    masked_similarity,
    ranking_divergence,
    ranks_first,
)
from search_r3.training.sft_config import LossConfig
from search_r3.training.teacher import teacher_distance

Features = dict[str, torch.Tensor]

_NO_LABELS: Any = None
"""sentence-transformers' losses of pairs take labels, and do not look at them."""


class SupervisedLoss(nn.Module):
    """The weighted sum of the parts, each returned by name so that the trainer logs it.

    Args:
        model: A Search-R3 model, with a peft adapter or without.
        config: Weights and constants.
        teacher_dimension: Dimension of the vectors to distil from.
        only_reading: Whether documents, and queries without a thought, are embedded with the adapter off.
        processes: Number of processes; with several, in-batch negatives are gathered from all.

    Raises:
        InvalidOptionError: Parts are asked for that cannot be had together.
    """

    def __init__(
        self,
        model: SearchR3,
        config: LossConfig,
        *,
        teacher_dimension: int | None = None,
        only_reading: bool = False,
        processes: int = 1,
    ) -> None:
        super().__init__()
        if only_reading and (config.cached or config.uses_teacher):
            raise InvalidOptionError(
                "Got only_reading with cached=true or a teacher, wanted neither: the documents' vectors are "
                "not trained."
            )
        if config.cached and (
            config.triplet or config.hinge or config.uses_teacher or config.false_negative_margin is not None
        ):
            raise InvalidOptionError(
                "Got cached=true with a triplet, a hinge, a teacher or a false_negative_margin, wanted none "
                "of them: gradient caching embeds a batch in pieces, and they need it whole."
            )
        if config.cached and processes > 1 and (config.next_token or config.kl):
            raise InvalidOptionError(
                f"Got cached=true with a next_token or kl loss in {processes} processes, wanted one process "
                "or neither: the processes would add up their gradients at different times."
            )
        if config.uses_teacher and teacher_dimension is None:
            raise InvalidOptionError("Got distillation or ranking without a teacher, wanted its dimension.")
        self.model: Any = model
        self.config = config
        module = model.reasoning_module
        # In a tuple, so that neither is registered as a part of the loss.
        self._language_model = (module.model,)
        self._reference = (None if _has_adapter(module.model) or not config.kl else _frozen(module.model),)
        self._only_reading = only_reading
        self._processes = processes
        gather = processes > 1
        similarity: Similarity = cos_sim
        if config.false_negative_margin is not None:
            similarity = masked_similarity(config.false_negative_margin)
        self._similarity = similarity
        if config.cached:
            self._cached = CachedMultipleNegativesRankingLoss(
                model, scale=1 / config.temperature, gather_across_devices=gather
            )
            self.contrastive: nn.Module = self._cached
        else:
            self.contrastive = MultipleNegativesRankingLoss(
                model,
                scale=1 / config.temperature,
                similarity_fct=similarity,
                gather_across_devices=gather,
            )
        if config.matryoshka_dimensions and config.cached:
            whole = model.get_embedding_dimension() or 0
            self.contrastive = MatryoshkaLoss(model, self.contrastive, [whole, *config.matryoshka_dimensions])
        self.triplet = TripletLoss(
            model, distance_metric=TripletDistanceMetric.COSINE, triplet_margin=config.triplet_margin
        )
        self.distillation = None
        if config.distillation:
            self.distillation = teacher_distance(model, teacher_dimension or 0, processes=processes)

    def forward(self, sentence_features: list[Features], labels: Any = None) -> dict[str, torch.Tensor]:
        """Compute the parts for one batch.

        Args:
            sentence_features: Of :class:`search_r3.training.features.ExampleEncoder`: the queries, then the
                positives, then the negatives, each of B rows.
            labels: Not used; the trainer passes it.

        Returns:
            Scalars by name, each times its weight: ``contrastive`` if any part looks at documents, the others
            if their weight is not 0. The trainer adds them up.
        """
        queries, *documents = sentence_features
        if not self.config.embeds:
            parts = self._language(self.model(_plain(queries))["token_embeddings"], queries)
        elif self.config.cached:
            columns = [_plain(column) for column in sentence_features]
            # Rows by the widest column: a count of tokens without padding would not bound the memory.
            widest = max(column["input_ids"].shape[1] for column in columns)
            self._cached.mini_batch_size = max(1, self.config.mini_batch_tokens // widest)
            parts = {"contrastive": self.contrastive(columns, None)}
            parts |= self._cached_language(queries)
        else:
            encoded = self.model(_plain(queries))
            with self._untrained():
                embedded = [embed_packed(self.model, column) for column in documents]
            embeddings = [encoded["sentence_embedding"], *embedded]
            teachers = [column["teacher"] for column in sentence_features if "teacher" in column]
            terms = [column["terms"] for column in sentence_features if "terms" in column]
            # Cosines in half precision would be coarser than the temperature.
            with torch.autocast(queries["input_ids"].device.type, enabled=False):
                floats = [vectors.float() for vectors in embeddings]
                parts = self._embedding_parts(floats)
                if self.config.hinge:
                    parts["hinge"] = self._hinge(floats, queries)
                if teachers:
                    parts |= self._teacher_parts(floats, teachers, terms, ~queries["thinks"])
            parts |= self._language(encoded["token_embeddings"], queries)
        weights = self.config.model_dump()
        return {name: part * weights[name] for name, part in parts.items()}

    def _embedding_parts(self, embeddings: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        assert isinstance(self.contrastive, MultipleNegativesRankingLoss)
        contrastive = self.contrastive.compute_loss_from_embeddings(embeddings, _NO_LABELS)
        for dimension in self.config.matryoshka_dimensions:
            shorter = [functional.normalize(vectors[:, :dimension], dim=1) for vectors in embeddings]
            contrastive = contrastive + self.contrastive.compute_loss_from_embeddings(shorter, _NO_LABELS)
        parts = {"contrastive": contrastive}
        if self.config.triplet and len(embeddings) > 2:
            parts["triplet"] = self.triplet.compute_loss_from_embeddings(embeddings[:3], _NO_LABELS)
        return parts

    def _teacher_parts(
        self,
        embeddings: list[torch.Tensor],
        teachers: list[torch.Tensor],
        terms: list[torch.Tensor],
        direct: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """The parts that look at the teacher, on the direct vectors: queries without a thought, documents."""
        (queries, *documents), (wanted_queries, *wanted_documents) = embeddings, teachers
        queries, wanted_queries = queries[direct], wanted_queries[direct]
        # Gradients are averaged over processes, whose numbers of direct queries differ.
        mean = self._mean_over_processes(direct.sum().float())
        share = len(queries) / max(mean, 1 / self._processes)
        parts = {}
        if self.distillation is not None:
            distance = self.distillation.compute_loss_from_embeddings
            columns = [
                distance([own], [wanted]) for own, wanted in zip(documents, wanted_documents, strict=True)
            ]
            if len(queries):
                columns.append(share * distance([queries], [wanted_queries]))
            count = len(documents) + (mean > 0)
            parts["distillation"] = torch.stack(columns).sum() / count
        if self.config.ranking:
            candidates = torch.cat(documents)
            wanted = cos_sim(wanted_queries, self._of_all(torch.cat(wanted_documents)))
            if terms:
                wanted = wanted + self.config.terms * terms[0][direct] @ self._of_all(torch.cat(terms[1:])).T
            first = torch.distributed.get_rank() * len(candidates) if self._processes > 1 else 0
            if self._processes > 1:
                candidates = all_gather_with_grad(candidates)
            if self.config.agreeing:
                agrees = ranks_first(wanted, direct.nonzero()[:, 0] + first)
                share = share * float(agrees.sum()) / max(1, len(agrees))
                queries, wanted = queries[agrees], wanted[agrees]
            divergence = candidates.sum() * 0
            if len(queries):
                divergence = share * ranking_divergence(
                    cos_sim(queries, candidates) / self.config.temperature,
                    wanted / self.config.teacher_temperature,
                )
            parts["ranking"] = divergence
        return parts

    def _language(self, states: torch.Tensor, queries: Features) -> dict[str, torch.Tensor]:
        if not self.config.next_token and not self.config.kl:
            return {}
        cross_entropy, divergence = self._language_sums(
            states, queries["input_ids"], queries["attention_mask"], queries["target_mask"]
        )
        return self._language_parts(cross_entropy, divergence, queries)

    def _cached_language(self, queries: Features) -> dict[str, torch.Tensor]:
        """The same in pieces, each computed again in the backward pass: gradient caching keeps no states."""
        if not self.config.next_token and not self.config.kl:
            return {}
        lengths = queries["attention_mask"].sum(dim=1)
        sums = []
        for rows in _pieces(lengths.argsort(stable=True), lengths, self.config.mini_batch_tokens):
            longest = int(lengths[rows].max())
            piece = {key: queries[key][rows, -longest:] for key in _QUERY_KEYS}
            sums.append(checkpoint(self._piece, *piece.values(), use_reentrant=False))
        cross_entropies, divergences = zip(*sums, strict=True)
        return self._language_parts(
            torch.stack(cross_entropies).sum(), torch.stack(divergences).sum(), queries
        )

    def _language_parts(
        self, cross_entropy: torch.Tensor, divergence: torch.Tensor, queries: Features
    ) -> dict[str, torch.Tensor]:
        # Gradients are averaged over processes, whose numbers of tokens to be learnt differ.
        count = max(1.0, self._mean_over_processes(queries["target_mask"].sum().float()))
        parts = {}
        if self.config.next_token:
            parts["next_token"] = cross_entropy / count
        if self.config.kl:
            parts["kl"] = divergence / count
        return parts

    def _hinge(self, embeddings: list[torch.Tensor], queries: Features) -> torch.Tensor:
        """By how much InfoNCE is larger after a thought than without it, where it is: the mean over thoughts.

        Without it is a constant: the direct vector is not made worse to make the thought look better.
        """
        own, *documents = embeddings
        thinks = queries["thinks"]
        count = self._mean_over_processes(thinks.sum().float())
        if self._processes > 1:
            documents = [all_gather_with_grad(column) for column in documents]
        if not thinks.any():
            return own.sum() * 0
        with torch.no_grad(), self._untrained():
            plain = {"input_ids": queries["direct_ids"], "attention_mask": queries["direct_mask"]}
            direct = own.detach().clone()
            direct[thinks] = self.model(plain)["sentence_embedding"].float()
        candidates = torch.cat(documents)
        after, before = (self._rows(vectors, candidates)[thinks] for vectors in (own, direct.detach()))
        share = len(after) / max(count, 1 / self._processes)
        return share * functional.relu(after - before.detach()).mean()

    def _rows(self, queries: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
        """InfoNCE of every query; the positives of all processes come first among the candidates."""
        scores = self._similarity(queries, candidates) / self.config.temperature
        offset = torch.distributed.get_rank() * len(queries) if self._processes > 1 else 0
        positives = torch.arange(len(queries), device=scores.device) + offset
        return functional.cross_entropy(scores, positives, reduction="none")

    def _of_all(self, vectors: torch.Tensor) -> torch.Tensor:
        """The vectors of all processes, those of the first one first; no gradient."""
        gathered: torch.Tensor = all_gather(vectors) if self._processes > 1 else vectors
        return gathered

    def _mean_over_processes(self, count: torch.Tensor) -> float:
        if self._processes > 1:
            torch.distributed.all_reduce(count)
        return float(count) / self._processes

    def _piece(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, target_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        states = self.model({"input_ids": input_ids, "attention_mask": attention_mask})["token_embeddings"]
        return self._language_sums(states, input_ids, attention_mask, target_mask)

    def _language_sums(
        self,
        states: torch.Tensor,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        target_mask: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross entropy and divergence from the base, each summed over the tokens to be learnt.

        The divergence is KL(base || model): it is large where the model has lost what the base could write.
        """
        language_model = self._language_model[0]
        rows, positions = target_mask.nonzero(as_tuple=True)
        if not len(rows):
            return states.sum() * 0, states.sum() * 0
        # The trainer's mixed precision ends with the model's forward pass, whose output it makes float32.
        head_dtype = language_model.get_output_embeddings().weight.dtype
        logits = next_token_logits(language_model, states[rows, positions - 1].to(head_dtype))
        targets = input_ids[rows, positions]
        cross_entropy = functional.cross_entropy(logits, targets, reduction="sum")
        if not self.config.kl:
            return cross_entropy, cross_entropy * 0
        with torch.no_grad(), self._base() as base:
            # Only rows with a token to be learnt are worth a pass of the base.
            some, inverse = torch.unique(rows, return_inverse=True)
            known = last_hidden_states(base, input_ids[some], attention_mask[some])
            expected = next_token_logits(base, known[inverse, positions - 1]).log_softmax(dim=-1)
        divergence = functional.kl_div(logits.log_softmax(dim=-1), expected, reduction="sum", log_target=True)
        return cross_entropy, divergence

    @contextmanager
    def _untrained(self) -> Iterator[None]:
        """What is embedded as before training if the adapter is on for queries that read alone."""
        if not self._only_reading:
            yield
            return
        with torch.no_grad(), self._base():
            yield

    @contextmanager
    def _base(self) -> Iterator[Any]:
        """The model as it was before training: its adapter off, or the frozen copy."""
        reference = self._reference[0]
        if reference is not None:
            yield reference
            return
        language_model: Any = self._language_model[0]
        language_model.disable_adapters()
        try:
            yield language_model
        finally:
            language_model.enable_adapters()


_QUERY_KEYS = ("input_ids", "attention_mask", "target_mask")


def _plain(column: Features) -> Features:
    return {key: column[key] for key in ("input_ids", "attention_mask")}


def _pieces(order: torch.Tensor, lengths: torch.Tensor, most_tokens: int) -> Iterator[torch.Tensor]:
    """Cut rows, sorted by length, into runs of at most so many padded tokens (or of one row)."""
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - start) * int(lengths[order[end]]) > most_tokens:
            yield order[start:end]
            start = end


def _has_adapter(language_model: Any) -> bool:
    return bool(getattr(language_model, "_hf_peft_config_loaded", False))


def _frozen(language_model: Any) -> Any:
    return copy.deepcopy(language_model).requires_grad_(False).eval()
