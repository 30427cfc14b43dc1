"""The parts of the distillation loss, by hand, and the fit of the map."""

import math

import pytest
import torch

from search_r3.errors import InvalidOptionError, ModelError
from search_r3.training.distillation_config import DistillationWeights
from search_r3.training.distillation_loss import (
    DistillationLoss,
    neighbour_divergence,
    orthogonal_map,
    similarity_difference,
)


def test_similarity_difference_by_hand():
    """Mean over the three pairs of the squared difference of cosines. Lengths do not matter."""
    vectors = torch.tensor([[2.0, 0.0], [0.0, 3.0], [5.0, 0.0]])
    teacher = torch.tensor([[1.0, 0.0], [4.0, 0.0], [0.0, 2.0]])
    # Pairs: (0, 1) 0 against 1, (0, 2) 1 against 0, (1, 2) 0 against 0.
    assert similarity_difference(vectors, teacher).item() == pytest.approx(2 / 3)
    teacher[2] = torch.tensor([3.0, 4.0])
    # (0, 1) 0 against 1, (0, 2) 1 against .6, (1, 2) 0 against .6
    assert similarity_difference(vectors, teacher).item() == pytest.approx((1 + 0.16 + 0.36) / 3)


def test_the_same_geometry_costs_nothing():
    """A rotation of the teacher's vectors has its cosines; one vector has no pair."""
    teacher = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    rotation, _ = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(1)))
    assert similarity_difference(3 * teacher @ rotation, teacher).item() == pytest.approx(0, abs=1e-10)
    assert similarity_difference(teacher[:1], teacher[1:2]).item() == 0


def test_neighbour_divergence_by_hand():
    """Three rows; each has two others, so that a softmax is a logistic function of the difference."""
    vectors = torch.tensor([[2.0, 0.0], [0.0, 3.0], [5.0, 0.0]])
    teacher = torch.tensor([[1.0, 0.0], [4.0, 0.0], [0.0, 2.0]])
    high = 1 / (1 + math.exp(-1 / 0.5))  # a cosine of 1 against one of 0, at the temperature 0.5
    # Row 0: the student is for row 2, the teacher for row 1. Row 1: the student has 0 and 0, the teacher 1
    # and 0. Row 2: the student has 1 and 0, the teacher 0 and 0.
    opposed = (2 * high - 1) * math.log(high / (1 - high))
    from_even = high * math.log(2 * high) + (1 - high) * math.log(2 * (1 - high))
    to_even = 0.5 * math.log(0.5 / high) + 0.5 * math.log(0.5 / (1 - high))
    found = neighbour_divergence(vectors, teacher, 0.5).item()
    assert found == pytest.approx((opposed + from_even + to_even) / 3, abs=1e-6)
    assert neighbour_divergence(7 * teacher, teacher, 0.5).item() == pytest.approx(0, abs=1e-6)


def test_a_rotation_is_found():
    """From vectors that are the teacher's, turned and moved, the turn is found; it keeps all angles."""
    generator = torch.Generator().manual_seed(0)
    teacher = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    turn, _ = torch.linalg.qr(torch.randn(5, 3, generator=generator, dtype=torch.float64))
    found = orthogonal_map(2 * teacher @ turn.T + 7, teacher)
    torch.testing.assert_close(found, turn)
    torch.testing.assert_close(found.T @ found, torch.eye(3, dtype=torch.float64))


def test_no_map_keeps_the_angles_of_more_dimensions():
    """Three dimensions do not fit into two, and three texts do not decide a map of three dimensions."""
    with pytest.raises(InvalidOptionError, match="teacher of 3 dimensions for a model of 2"):
        orthogonal_map(torch.randn(9, 2), torch.randn(9, 3))
    with pytest.raises(InvalidOptionError, match="3 texts to fit the map of a teacher of 3 dimensions"):
        orthogonal_map(torch.randn(3, 4), torch.randn(3, 3))


def test_parts_of_a_batch(fresh_tiny):
    """One minus the mean cosine with the target, and both differences, each times its weight."""
    tiny = fresh_tiny.train()
    weights = DistillationWeights(cosine=2.0, similarity=3.0, ranking=0.5, temperature=0.1)
    loss = DistillationLoss(tiny, weights)
    texts = ["red apple", "the sea", "a star"]
    teacher = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    encoded = tiny[0].preprocess(texts, task="document")
    column = {key: encoded[key] for key in ("input_ids", "attention_mask")} | {"teacher": teacher}
    with torch.no_grad():
        vectors = tiny(dict(column))["sentence_embedding"]
    with pytest.raises(ModelError, match="fit_map"):
        loss([column])
    loss.fit_map(vectors, teacher)
    with torch.no_grad():
        parts = loss([column])
        turn = orthogonal_map(vectors.double(), teacher.double()).float()
        cosine = torch.nn.functional.cosine_similarity(vectors, teacher @ turn.T)
    assert parts["cosine"].item() == pytest.approx(2 * (1 - cosine.mean().item()), abs=1e-5)
    assert parts["similarity"].item() == pytest.approx(
        3 * similarity_difference(vectors, teacher).item(), abs=1e-5
    )
    assert parts["ranking"].item() == pytest.approx(
        0.5 * neighbour_divergence(vectors, teacher, 0.1).item(), abs=1e-5
    )


def test_parts_of_weight_0_are_left_out(fresh_tiny):
    """Without the cosine part no map is needed; no part at all is refused."""
    with pytest.raises(ValueError, match="all weights are 0"):
        DistillationWeights(cosine=0, similarity=0, ranking=0)
    tiny = fresh_tiny.train()
    encoded = tiny[0].preprocess(["red apple", "the sea"], task="document")
    column = {key: encoded[key] for key in ("input_ids", "attention_mask")} | {"teacher": torch.eye(2)}
    for weights, parts in (({}, {"similarity"}), ({"similarity": 0.0, "ranking": 1.0}, {"ranking"})):
        loss = DistillationLoss(tiny, DistillationWeights(cosine=0.0, **weights))
        assert set(loss([column])) == parts
