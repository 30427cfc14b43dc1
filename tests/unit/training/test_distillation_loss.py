"""The parts of the distillation loss, by hand, and the fit of the map."""

import math

import pytest
import torch

from search_r3.training.distillation_config import DistillationWeights
from search_r3.training.distillation_loss import (
    DistillationLoss,
    neighbour_divergence,
    ridge,
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


def test_ridge_finds_a_linear_map():
    """From many points of an exact affine map its weights and bias are found, but for the small penalty."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(4000, 3, generator=generator, dtype=torch.float64)
    weight = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]], dtype=torch.float64)
    bias = torch.tensor([0.25, -1.0], dtype=torch.float64)
    found_weight, found_bias = ridge(features, features @ weight.T + bias)
    torch.testing.assert_close(found_weight, weight / 1.01, rtol=2e-3, atol=2e-3)
    torch.testing.assert_close(found_bias, bias, rtol=0, atol=2e-2)


def test_parts_of_a_batch(fresh_tiny):
    """One minus the mean cosine after the map, and the difference of cosines, each times its weight."""
    tiny = fresh_tiny.train()
    weights = DistillationWeights(cosine=2.0, similarity=3.0, ranking=0.5, temperature=0.1)
    loss = DistillationLoss(tiny, weights, teacher_dimension=6)
    texts = ["red apple", "the sea", "a star"]
    teacher = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    encoded = tiny[0].preprocess(texts, task="document")
    column = {key: encoded[key] for key in ("input_ids", "attention_mask")} | {"teacher": teacher}
    with torch.no_grad():
        vectors = tiny(dict(column))["sentence_embedding"]
    loss.fit_projection(vectors, teacher)
    projection = loss.distillation.projection
    with torch.no_grad():
        parts = loss([column])
        mapped = vectors @ projection.weight.T + projection.bias
        cosine = torch.nn.functional.cosine_similarity(mapped, teacher)
    assert parts["cosine"].item() == pytest.approx(2 * (1 - cosine.mean().item()), abs=1e-5)
    assert parts["similarity"].item() == pytest.approx(
        3 * similarity_difference(vectors, teacher).item(), abs=1e-5
    )
    assert parts["ranking"].item() == pytest.approx(
        0.5 * neighbour_divergence(vectors, teacher, 0.1).item(), abs=1e-5
    )
    assert math.isfinite(parts["similarity"].item()) and cosine.mean() > 0.9  # three points are easy to fit
