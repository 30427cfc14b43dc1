"""InfoNCE by hand, and by the libraries that have it too."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.util import dot_score
from torch.nn import functional

from search_r3.rl.grpo_config import ContrastiveConfig
from search_r3.rl.grpo_trainer import RetrievalGRPOTrainer
from search_r3.rl.losses import info_nce

NOTHING = torch.zeros(2, 3, dtype=torch.bool)


def unit(*shape, seed=0):
    vectors = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return functional.normalize(vectors, dim=1).requires_grad_()


def test_by_hand():
    """Two queries, three documents: cosines 1, 0, 0.6 and 0, 1, 0.8, divided by 0.5."""
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    documents = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    first = -math.log(math.exp(2) / (math.exp(2) + math.exp(0) + math.exp(1.2)))
    second = -math.log(math.exp(1.6) / (math.exp(0) + math.exp(2) + math.exp(1.6)))
    found = info_nce(queries, documents, torch.tensor([0, 2]), NOTHING, 0.5)
    assert found.item() == pytest.approx((first + second) / 2, abs=1e-6)


def test_excluded_documents_leave_the_softmax_and_the_target_stays():
    """What is relevant too is no negative; a target marked as relevant is still the target."""
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    documents = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    excluded = torch.tensor([[True, False, True], [False, False, False]])
    first = -math.log(math.exp(2) / (math.exp(2) + math.exp(0)))
    second = -math.log(math.exp(1.6) / (math.exp(0) + math.exp(2) + math.exp(1.6)))
    found = info_nce(queries, documents, torch.tensor([0, 2]), excluded, 0.5)
    assert found.item() == pytest.approx((first + second) / 2, abs=1e-6)
    assert excluded[0, 0]  # the argument is as it was


def test_gradient_is_that_of_cross_entropy():
    """With exclusions: value and gradients equal those of cross entropy over the documents that are left."""
    queries, documents = unit(4, 8), unit(6, 8, seed=1)
    targets = torch.tensor([0, 3, 5, 3])
    excluded = torch.rand(4, 6, generator=torch.Generator().manual_seed(2)) < 0.4
    excluded[torch.arange(4), targets] = False
    assert excluded.any()
    found = info_nce(queries, documents, targets, excluded, 0.05)
    losses = []
    for index, target in enumerate(targets.tolist()):
        kept = (~excluded[index]).nonzero()[:, 0].tolist()
        scores = queries[index] @ documents[kept].T / 0.05
        losses.append(functional.cross_entropy(scores[None], torch.tensor([kept.index(target)])))
    expected = torch.stack(losses).mean()
    torch.testing.assert_close(found, expected)
    ours = torch.autograd.grad(found, (queries, documents))
    theirs = torch.autograd.grad(expected, (queries, documents))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert max(gradient.abs().max() for gradient in theirs) > 0.1


def test_it_is_sentence_transformers_ranking_loss(tiny):
    """Queries, positives, negatives: value and gradients equal MultipleNegativesRankingLoss."""
    queries, positives, negatives = unit(3, 8), unit(3, 8, seed=1), unit(3, 8, seed=2)
    documents = torch.cat([positives, negatives])
    found = info_nce(queries, documents, torch.arange(3), torch.zeros(3, 6, dtype=torch.bool), 0.05)
    theirs = MultipleNegativesRankingLoss(tiny, scale=20.0, similarity_fct=dot_score)
    expected = theirs.compute_loss_from_embeddings([queries, positives, negatives], None)
    torch.testing.assert_close(found, expected)
    ours = torch.autograd.grad(found, (queries, positives, negatives))
    torch.testing.assert_close(
        ours, torch.autograd.grad(expected, (queries, positives, negatives)), atol=1e-5, rtol=1e-5
    )


class Environment:
    """Four orthogonal documents; 0 and 3 are relevant for query a, 1 for query b."""

    documents = SimpleNamespace(embeddings=np.eye(4, dtype=np.float32))

    def is_relevant(self, query_ids, documents):
        return np.array([np.isin(documents, {"a": [0, 3], "b": [1]}[one]) for one in query_ids])


def trainer(gathered):
    """What the trainer's contrastive loss needs of it; `gathered` are the documents of all processes."""
    return SimpleNamespace(
        accelerator=SimpleNamespace(gather=lambda _: gathered),
        environment=Environment(),
        config=SimpleNamespace(contrastive=ContrastiveConfig(temperature=0.5)),
        _ids=["a", "b"],
    )


def test_the_trainer_gathers_the_documents_of_the_batch():
    """Positives and negatives of all rollouts together; other positives of a query are left out."""
    embeddings = torch.tensor([[0.8, 0.6, 0.0, 0.0], [0.0, 0.6, 0.8, 0.0]], requires_grad=True)
    own = torch.tensor([[0, 2], [1, 3]])
    inputs = {"contrast_documents": own, "query_numbers": torch.tensor([0, 1])}
    loss = RetrievalGRPOTrainer._contrastive_loss(trainer(own), embeddings, inputs)
    first = -np.log(np.exp(1.6) / (np.exp(1.6) + np.exp(1.2) + 1))  # document 3 is relevant for a as well
    second = -np.log(np.exp(1.2) / (1 + np.exp(1.2) + np.exp(1.6) + 1))
    assert loss.item() == pytest.approx((first + second) / 2, abs=1e-6)
    loss.backward()
    assert embeddings.grad.abs().sum() > 0
    # One rollout here, the documents of another process beside its own: 1 is relevant, 0 and 2 are not.
    inputs = {"contrast_documents": torch.tensor([[1, 2]]), "query_numbers": torch.tensor([1])}
    gathered = torch.tensor([[0, 2], [1, 2]])
    one = RetrievalGRPOTrainer._contrastive_loss(trainer(gathered), embeddings[1:], inputs)
    assert one.item() == pytest.approx(-np.log(np.exp(1.2) / (1 + np.exp(1.2) + np.exp(1.6))), abs=1e-6)
