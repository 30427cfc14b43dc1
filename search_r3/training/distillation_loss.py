"""Stage 0: a small teacher's vectors as the target of direct vectors, without pairs.

    L = w1 * (1 - cos(s, R t)) + w2 * mean over pairs of a batch of (cos(s, s') - cos(t, t'))^2
        + w3 * mean over the texts of a batch of KL(softmax of cos(t, t') / T || softmax of cos(s, s') / T)

with the student's vectors s, the teacher's t and a map R that keeps lengths and angles. The first part gives
every text a target of its own, at which all cosines are the teacher's. The second brings the student's
cosines, by which it ranks, to the teacher's. The third counts most what is near: whether a text's neighbours
are in the teacher's order. Not in the paper (arXiv 2510.07048), which starts from a larger model.

R is fixed: the orthogonal map that brings the teacher's vectors nearest to the untrained student's. A linear
map from the student to the teacher that is trained with it (EmbedDistill, arXiv 2301.12005) leaves the
student's cosines free. The second part moves them fast at first, and that map could not follow: its cosine
fell from 0.53 to 0.06 in 25 steps and stayed there (benchmarks/LOG.md).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from search_r3.errors import InvalidOptionError, ModelError
from search_r3.model.sentence_transformer import SearchR3
from search_r3.training.distillation_config import DistillationWeights
from search_r3.training.packing import embed_packed
from search_r3.training.ranking_losses import ranking_divergence


class DistillationLoss(nn.Module):
    """The parts by name, so that the trainer logs them.

    Args:
        model: A Search-R3 model, with a peft adapter or without.
        config: The weights.
    """

    def __init__(self, model: SearchR3, config: DistillationWeights) -> None:
        super().__init__()
        self.model: Any = model
        self.config = config
        self._map: torch.Tensor | None = None

    def forward(
        self, sentence_features: list[dict[str, torch.Tensor]], labels: Any = None
    ) -> dict[str, torch.Tensor]:
        """Compute the parts for one batch.

        Args:
            sentence_features: One column: ``input_ids`` and ``attention_mask`` (B, L), ``teacher`` (B, D).
            labels: Not used; the trainer passes it.

        Returns:
            ``cosine``, ``similarity`` and ``ranking``, scalars, each times its weight. A part of weight 0 is
            left out.

        Raises:
            ModelError: The map of the cosine part is not fitted.
        """
        (column,) = sentence_features
        vectors = embed_packed(self.model, column)
        with torch.autocast(vectors.device.type, enabled=False):
            vectors, teacher = vectors.float(), column["teacher"].float()
            parts = {}
            if self.config.similarity:
                parts["similarity"] = similarity_difference(vectors, teacher)
            if self.config.cosine:
                if self._map is None:
                    raise ModelError("The map from the teacher's vectors is not fitted: call fit_map first.")
                target = teacher @ self._map.to(teacher.device).T
                parts["cosine"] = 1 - functional.cosine_similarity(vectors, target).mean()
            if self.config.ranking:
                parts["ranking"] = neighbour_divergence(vectors, teacher, self.config.temperature)
        weights = self.config.model_dump()
        return {name: weights[name] * part for name, part in parts.items()}

    def fit_map(self, vectors: torch.Tensor, teacher: torch.Tensor) -> None:
        """Fit the map of the cosine part.

        Args:
            vectors: The untrained student's, shape (N, D).
            teacher: The teacher's of the same texts, shape (N, E).

        Raises:
            InvalidOptionError: As :func:`orthogonal_map`.
        """
        self._map = orthogonal_map(vectors.double(), teacher.double()).float()


def similarity_difference(vectors: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference between the cosines of all pairs of different rows.

    Args:
        vectors: Shape (B, D).
        teacher: Shape (B, E).
    """
    own, wanted = functional.normalize(vectors, dim=1), functional.normalize(teacher, dim=1)
    difference = (own @ own.T - wanted @ wanted.T).square()
    count = len(vectors)
    return (difference.sum() - difference.diagonal().sum()) / max(1, count * (count - 1))


def neighbour_divergence(vectors: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """KL(teacher || student) of the softmax over a row's cosines with the other rows, the mean over the rows.

    Args:
        vectors: Shape (B, D).
        teacher: Shape (B, E).
        temperature: Of both, in cosine.
    """
    own, wanted = functional.normalize(vectors, dim=1), functional.normalize(teacher, dim=1)
    count = len(vectors)
    others = ~torch.eye(count, dtype=torch.bool, device=vectors.device)
    rows = [(unit @ unit.T)[others].view(count, count - 1) / temperature for unit in (own, wanted)]
    return ranking_divergence(*rows)


def orthogonal_map(vectors: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """The map that keeps angles and brings the teacher's vectors nearest to the student's: Procrustes.

    Both are centred first: the mean of an untrained student's vectors is most of them, and says nothing.

    Args:
        vectors: Shape (N, D).
        teacher: Shape (N, E), E at most D.

    Returns:
        Shape (D, E), with orthonormal columns.

    Raises:
        InvalidOptionError: E is above D, whose angles cannot be kept, or N is not above E: too few texts
            decide only a part of the map.
    """
    if len(teacher) <= teacher.shape[1]:
        raise InvalidOptionError(
            f"Got {len(teacher)} texts to fit the map of a teacher of {teacher.shape[1]} dimensions, wanted "
            "more texts than dimensions: raise texts and map_texts in [data], or set cosine = 0 in [loss]."
        )
    if teacher.shape[1] > vectors.shape[1]:
        raise InvalidOptionError(
            f"Got a teacher of {teacher.shape[1]} dimensions for a model of {vectors.shape[1]}, wanted at "
            "most as many: set cosine = 0 in [loss]."
        )
    centred, wanted = vectors - vectors.mean(dim=0), teacher - teacher.mean(dim=0)
    left, _, right = torch.linalg.svd(centred.T @ wanted, full_matrices=False)
    found: torch.Tensor = left @ right
    return found
