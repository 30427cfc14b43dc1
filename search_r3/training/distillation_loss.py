"""Stage 0: a small teacher's vectors as the target of direct vectors, without pairs.

    L = w1 * (1 - cos(M s, t)) + w2 * mean over pairs of a batch of (cos(s, s') - cos(t, t'))^2
        + w3 * mean over the texts of a batch of KL(softmax of cos(t, t') / T || softmax of cos(s, s') / T)

with the student's vectors s, the teacher's t and a linear map M. The first part gives every text a target.
The second makes the student's own cosines, by which it ranks, those of the teacher. The third counts most
what is near: whether a text's neighbours are in the teacher's order. Not in the paper (arXiv 2510.07048),
which starts from a larger model. The idea is EmbedDistill's (arXiv 2301.12005).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from search_r3.model.sentence_transformer import SearchR3
from search_r3.training.distillation_config import DistillationWeights
from search_r3.training.ranking_losses import ranking_divergence
from search_r3.training.teacher import teacher_distance

_RIDGE = 1e-2
"""Penalty of the fit of the map, as a share of the features' mean variance."""


class DistillationLoss(nn.Module):
    """The parts by name, so that the trainer logs them.

    Args:
        model: A Search-R3 model, with a peft adapter or without.
        config: The weights.
        teacher_dimension: Dimension of the teacher's vectors.
        processes: Number of processes.
    """

    def __init__(
        self, model: SearchR3, config: DistillationWeights, *, teacher_dimension: int, processes: int = 1
    ) -> None:
        super().__init__()
        self.model: Any = model
        self.config = config
        self.distillation = teacher_distance(model, teacher_dimension, processes=processes)

    def forward(
        self, sentence_features: list[dict[str, torch.Tensor]], labels: Any = None
    ) -> dict[str, torch.Tensor]:
        """Compute the parts for one batch.

        Args:
            sentence_features: One column: ``input_ids`` and ``attention_mask`` (B, L), ``teacher`` (B, D).
            labels: Not used; the trainer passes it.

        Returns:
            ``cosine``, ``similarity`` and, if its weight is not 0, ``ranking``: scalars, times their weights.
        """
        (column,) = sentence_features
        plain = {key: column[key] for key in ("input_ids", "attention_mask")}
        vectors = self.model(plain)["sentence_embedding"]
        with torch.autocast(vectors.device.type, enabled=False):
            vectors, teacher = vectors.float(), column["teacher"].float()
            cosine = self.distillation.compute_loss_from_embeddings([vectors], [teacher])
            parts = {"cosine": cosine, "similarity": similarity_difference(vectors, teacher)}
            if self.config.ranking:
                parts["ranking"] = neighbour_divergence(vectors, teacher, self.config.temperature)
        weights = self.config.model_dump()
        return {name: weights[name] * part for name, part in parts.items()}

    def fit_projection(self, vectors: torch.Tensor, teacher: torch.Tensor) -> None:
        """Fit the map by ridge regression; from random values it learns almost nothing in a short run.

        Args:
            vectors: The untrained student's, shape (N, its dimension).
            teacher: The teacher's of the same texts, shape (N, its dimension).
        """
        weight, bias = ridge(vectors.double(), teacher.double())
        projection: Any = self.distillation.projection
        with torch.no_grad():
            projection.weight.copy_(weight)
            projection.bias.copy_(bias)


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


def ridge(features: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (E, D) and bias (E) of the linear map from features (N, D) to targets (N, E)."""
    mean, target_mean = features.mean(dim=0), targets.mean(dim=0)
    centred = features - mean
    gram = centred.T @ centred
    gram.diagonal().add_(_RIDGE * gram.diagonal().mean())
    weight = torch.linalg.solve(gram, centred.T @ (targets - target_mean)).T
    return weight, target_mean - weight @ mean
