"""The supervised objective: every part by value and gradient, by hand and by sentence-transformers."""

import math
from dataclasses import replace

import pytest
import torch
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MatryoshkaLoss,
    MultipleNegativesRankingLoss,
    TripletLoss,
)
from sentence_transformers.sentence_transformer.losses.triplet import TripletDistanceMetric

from search_r3.errors import InvalidOptionError
from search_r3.training import objective
from search_r3.training.examples import Example
from search_r3.training.features import ExampleEncoder
from search_r3.training.lora import add_adapter
from search_r3.training.objective import SupervisedLoss
from search_r3.training.ranking_losses import masked_similarity, ranking_divergence
from search_r3.training.run_config import AdapterConfig
from search_r3.training.sft_config import DataConfig, LossConfig

DATA = DataConfig(sources={}, max_query_tokens=32, max_document_tokens=32, max_thought_tokens=6)
ONLY = {"contrastive": 0.0, "next_token": 0.0, "kl": 0.0}


def example(query, positive, *, thought=None, taught=False, kept=1.0, negatives=("the sea", "a star")):
    return Example(query, thought, kept, taught, positive, negatives, "words")


EXAMPLES = [
    example("red apple", "the red apple of the tree"),
    example("blue sea", "sea", thought="the sun and the star", taught=True),
    example("sort numbers", "sort a list of numbers in time", taught=True),
    example("a date", "the date of the book", thought="story of a date", taught=True, kept=0.5),
    example("copy", "copy the folder", thought="file", taught=False),
]


def features(model, examples=EXAMPLES, teacher=None):
    """The batch as the trainer hands it over: a dictionary for every column."""
    batch = ExampleEncoder(model[0], DATA, teacher)([one.to_row() for one in examples])
    names = dict.fromkeys(key.removesuffix("_input_ids") for key in batch if key.endswith("_input_ids"))
    return [
        {key.removeprefix(f"{name}_"): value for key, value in batch.items() if key.startswith(f"{name}_")}
        for name in names
    ]


def columns(model, examples=EXAMPLES):
    return [
        {key: column[key].clone() for key in ("input_ids", "attention_mask")}
        for column in features(model, examples)
    ]


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {
        name: weights.grad.clone() for name, weights in model.named_parameters() if weights.grad is not None
    }


def assert_same_gradients(found, wanted, tolerance=1e-5):
    assert set(found) == set(wanted)
    assert any(gradient.abs().max() > 1e-3 for gradient in wanted.values())
    for name, gradient in wanted.items():
        # Sums in another order differ by rounding at the scale of the largest entry.
        largest = max(1.0, gradient.abs().max().item())
        assert (found[name] - gradient).abs().max().item() < tolerance * largest, name


@pytest.fixture
def model(fresh_tiny):
    torch.manual_seed(0)  # of an adapter's first values
    return fresh_tiny.train()


# ----------------------------------------------------------------------------------------- embedding parts


def test_contrastive_part_is_sentence_transformers_own(model):
    """Value and gradient of every weight equal those of MultipleNegativesRankingLoss on the same batch."""
    ours = SupervisedLoss(model, LossConfig(**{**ONLY, "contrastive": 1.0}, temperature=0.05))
    theirs = MultipleNegativesRankingLoss(model, scale=20.0)
    value = ours(features(model))["contrastive"]
    expected = theirs(columns(model), None)
    assert value.item() == pytest.approx(expected.item(), abs=1e-5)
    assert_same_gradients(gradients(model, value), gradients(model, expected))


def test_contrastive_part_by_hand(model):
    """It is the mean over queries of -log softmax of the positive's cosine over the temperature."""
    loss = SupervisedLoss(model, LossConfig(**{**ONLY, "contrastive": 2.0}, temperature=0.1))
    model.eval()
    parts = features(model)
    vectors = [model({k: c[k] for k in ("input_ids", "attention_mask")} | _ended(c)) for c in parts]
    queries, *documents = [one["sentence_embedding"] for one in vectors]
    scores = queries @ torch.cat(documents).T / 0.1  # 5 queries x (5 positives + 2 x 5 negatives)
    by_hand = -scores.log_softmax(dim=1)[torch.arange(5), torch.arange(5)].mean()
    model.train()
    assert loss(features(model))["contrastive"].item() == pytest.approx(2 * by_hand.item(), abs=1e-4)


def _ended(column):
    """What eval mode asks for: every sequence's thought is part of it already."""
    return {"thought_length": torch.zeros(len(column["input_ids"]), dtype=torch.long)}


def test_packing_changes_nothing(model, monkeypatch):
    """Documents embedded in packed rows give the loss and the gradients of a padded batch."""

    def teacher(texts):
        return torch.eye(3)[[len(text) % 3 for text in texts]]

    config = LossConfig(**{**ONLY, "contrastive": 1.0, "distillation": 1.0})
    loss = SupervisedLoss(model, config, teacher_dimension=3)
    found = sum(loss(features(model, teacher=teacher)).values())
    monkeypatch.setattr(objective, "embed_packed", padded)
    wanted = sum(loss(features(model, teacher=teacher)).values())
    assert found.item() == pytest.approx(wanted.item(), abs=1e-5)
    assert_same_gradients(gradients(model, found), gradients(model, wanted))


def padded(model, column):
    return model({key: column[key] for key in ("input_ids", "attention_mask")})["sentence_embedding"]


def test_cached_is_the_same_with_less_memory(model):
    """Gradient caching, language parts in checkpointed pieces: same parts, same gradients."""
    add_adapter(model, AdapterConfig(rank=4, train_embed_token=False))
    _disturb(model)
    plain = SupervisedLoss(model, LossConfig())
    cached = SupervisedLoss(model, LossConfig(cached=True, mini_batch_tokens=64))
    assert isinstance(cached.contrastive, CachedMultipleNegativesRankingLoss)
    wanted, found = plain(features(model)), cached(features(model))
    for name, part in wanted.items():
        assert found[name].item() == pytest.approx(part.item(), abs=1e-5), name
    assert_same_gradients(gradients(model, sum(found.values())), gradients(model, sum(wanted.values())))


def test_matryoshka_is_sentence_transformers_own(model):
    """Shorter dimensions add what MatryoshkaLoss adds, with and without gradient caching."""
    config = LossConfig(**{**ONLY, "contrastive": 1.0}, matryoshka_dimensions=(16, 8))
    theirs = MatryoshkaLoss(model, MultipleNegativesRankingLoss(model, scale=50.0), [32, 16, 8])
    expected = theirs(columns(model), None)
    wanted = gradients(model, expected)
    for cached in (False, True):
        ours = SupervisedLoss(model, config.model_copy(update={"cached": cached, "mini_batch_tokens": 96}))
        value = ours(features(model))["contrastive"]
        assert value.item() == pytest.approx(expected.item(), abs=1e-4)
        assert_same_gradients(gradients(model, value), wanted)


def test_triplet_part_is_sentence_transformers_own(model):
    """It is TripletLoss on cosine distances of query, positive and first negative, times its weight."""
    ours = SupervisedLoss(model, LossConfig(**{**ONLY, "triplet": 0.5}, triplet_margin=0.3))
    theirs = TripletLoss(model, distance_metric=TripletDistanceMetric.COSINE, triplet_margin=0.3)
    value = ours(features(model))["triplet"]
    expected = 0.5 * theirs(columns(model)[:3], None)
    assert expected.item() > 0
    assert value.item() == pytest.approx(expected.item(), abs=1e-5)


def test_distillation_part_by_hand(model):
    """It is the mean over columns of 1 - cosine of the projected vector and the teacher's.

    Of the queries only those without a thought count: the teacher did not read the thought.
    """

    def teacher(texts):
        return torch.tensor([[1.0, float(len(text)), 0.0] for text in texts])

    loss = SupervisedLoss(model, LossConfig(**{**ONLY, "distillation": 3.0}), teacher_dimension=3)
    with torch.no_grad():  # the projection takes the first three dimensions
        loss.distillation.projection.weight.copy_(torch.eye(3, 32))
        loss.distillation.projection.bias.copy_(torch.tensor([0.1, -0.2, 0.3]))
    column_losses = []
    for column in features(model, teacher=teacher):
        vectors = model({k: column[k] for k in ("input_ids", "attention_mask")})["sentence_embedding"]
        mapped = vectors[:, :3] + torch.tensor([0.1, -0.2, 0.3])
        cosines = torch.cosine_similarity(mapped, column["teacher"], dim=1)
        direct = [0, 2] if "thinks" in column else range(5)
        column_losses.append((1 - cosines[list(direct)]).mean())
    value = loss(features(model, teacher=teacher))["distillation"]
    assert value.item() == pytest.approx(3 * torch.stack(column_losses).mean().item(), abs=1e-5)
    value.backward()
    assert loss.distillation.projection.weight.grad.abs().max() > 0


def test_the_teacher_says_nothing_about_thoughts(model):
    """Gradients of the teacher's parts are those of a batch whose thinking queries are other texts."""
    config = LossConfig(**{**ONLY, "distillation": 1.0, "ranking": 1.0})
    loss = SupervisedLoss(model, config, teacher_dimension=3)

    def teacher(texts):
        return torch.tensor([[1.0, float(len(text)), 0.5] for text in texts])

    thinking = [one for one in EXAMPLES if one.thought is not None]
    others = [replace(one, thought="the sea of the sun") for one in thinking]
    direct = [one for one in EXAMPLES if one.thought is None]
    found = [
        gradients(model, value["distillation"] + value["ranking"])
        for value in (loss(features(model, [*direct, *some], teacher=teacher)) for some in (thinking, others))
    ]
    assert_same_gradients(*found)
    only_thoughts = loss(features(model, thinking, teacher=teacher))
    assert only_thoughts["ranking"] == 0 and only_thoughts["distillation"].isfinite()


def test_ranking_divergence_by_hand():
    """Two documents: teacher .5/.5 and student .8/.2 cost .5 ln(.5/.8) + .5 ln(.5/.2); agreement nothing."""
    student = torch.tensor([[0.8, 0.2], [0.3, 0.7]]).log()
    teacher = torch.tensor([[0.5, 0.5], [0.3, 0.7]]).log() + 3.0  # a constant is nothing to a softmax
    by_hand = (0.5 * math.log(0.5 / 0.8) + 0.5 * math.log(0.5 / 0.2)) / 2
    assert ranking_divergence(student, teacher).item() == pytest.approx(by_hand, abs=1e-6)


def test_ranking_part_by_hand(model):
    """Over direct queries: KL of the teacher's softmax over all documents from ours."""

    def teacher(texts):
        return torch.tensor([[1.0, len(text) / 10, float("s" in text)] for text in texts])

    config = LossConfig(**{**ONLY, "ranking": 2.0}, temperature=0.1, teacher_temperature=0.3)
    loss = SupervisedLoss(model, config, teacher_dimension=3)
    vectors, targets = [], []
    for column in features(model, teacher=teacher):
        plain = {k: column[k] for k in ("input_ids", "attention_mask")}
        vectors.append(model(plain)["sentence_embedding"])
        targets.append(torch.nn.functional.normalize(column["teacher"], dim=1))
    direct = [0, 2]
    ours = (vectors[0][direct] @ torch.cat(vectors[1:]).T / 0.1).softmax(dim=1)
    theirs = (targets[0][direct] @ torch.cat(targets[1:]).T / 0.3).softmax(dim=1)
    by_hand = (theirs * (theirs / ours).log()).sum(dim=1).mean()
    value = loss(features(model, teacher=teacher))["ranking"]
    assert value.item() == pytest.approx(2 * by_hand.item(), abs=1e-4)


def test_terms_are_added_to_the_teachers_ranking(model):
    """Soft targets: the softmax of the teacher's cosine and the weighted product of the term vectors."""

    def teacher(texts):
        return torch.tensor([[1.0, len(text) / 10, float("s" in text)] for text in texts])

    config = LossConfig(**{**ONLY, "ranking": 1.0, "terms": 0.5}, temperature=0.1, teacher_temperature=0.3)
    columns = features(model, teacher=teacher)
    generator = torch.Generator().manual_seed(0)
    for column in columns:
        column["terms"] = torch.rand(len(column["teacher"]), 7, generator=generator)
    vectors = [
        model({k: column[k] for k in ("input_ids", "attention_mask")})["sentence_embedding"]
        for column in columns
    ]
    targets = [torch.nn.functional.normalize(column["teacher"], dim=1) for column in columns]
    terms = [column["terms"] for column in columns]
    direct = [0, 2]
    wanted = targets[0][direct] @ torch.cat(targets[1:]).T
    wanted = wanted + 0.5 * terms[0][direct] @ torch.cat(terms[1:]).T
    ours = (vectors[0][direct] @ torch.cat(vectors[1:]).T / 0.1).softmax(dim=1)
    theirs = (wanted / 0.3).softmax(dim=1)
    by_hand = (theirs * (theirs / ours).log()).sum(dim=1).mean()
    value = SupervisedLoss(model, config, teacher_dimension=3)(columns)["ranking"]
    assert value.item() == pytest.approx(by_hand.item(), abs=1e-4)


def test_agreeing_leaves_out_queries_whose_positive_the_teacher_does_not_rank_first(model):
    """The sum over the others, and still divided by the number of direct queries."""
    columns = features(model, teacher=lambda texts: torch.ones(len(texts), 3))
    # Direct queries are 0 and 2. The teacher finds the positive of 0, and for 2 the one of 0.
    for column in columns:
        column["teacher"] = torch.tensor([[1.0, 0.2, 0.0]]).repeat(len(column["teacher"]), 1)
    columns[0]["teacher"][[0, 2]] = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.1, 1.0]])
    columns[1]["teacher"][0] = torch.tensor([0.0, 0.0, 1.0])
    vectors = [
        model({k: column[k] for k in ("input_ids", "attention_mask")})["sentence_embedding"]
        for column in columns
    ]
    targets = [torch.nn.functional.normalize(column["teacher"], dim=1) for column in columns]
    ours = (vectors[0][[0]] @ torch.cat(vectors[1:]).T / 0.1).softmax(dim=1)
    theirs = (targets[0][[0]] @ torch.cat(targets[1:]).T / 0.3).softmax(dim=1)
    by_hand = (theirs * (theirs / ours).log()).sum() / 2
    options = {"temperature": 0.1, "teacher_temperature": 0.3}
    config = LossConfig(**{**ONLY, "ranking": 1.0, "agreeing": True}, **options)
    value = SupervisedLoss(model, config, teacher_dimension=3)(columns)["ranking"]
    assert value.item() == pytest.approx(by_hand.item(), abs=1e-4)
    columns[1]["teacher"][0] = torch.tensor([1.0, 0.0, 0.0])  # now the teacher agrees with no label
    columns[2]["teacher"][0] = torch.tensor([0.0, 0.0, 1.0])
    assert SupervisedLoss(model, config, teacher_dimension=3)(columns)["ranking"] == 0


@pytest.mark.parametrize("margin", [None, 0.0])
def test_hinge_by_hand(model, margin):
    """The mean over thinking queries of what InfoNCE loses by the thought; a gain counts as nothing."""
    config = LossConfig(**{**ONLY, "hinge": 2.0}, temperature=0.1, false_negative_margin=margin)
    loss = SupervisedLoss(model, config)
    parts = features(model)
    bare = features(model, [replace(one, thought=None, is_taught=False) for one in EXAMPLES])

    def info_nce(queries):
        vectors = [
            model({key: column[key] for key in ("input_ids", "attention_mask")})["sentence_embedding"]
            for column in (queries, *parts[1:])
        ]
        scores = vectors[0] @ torch.cat(vectors[1:]).T
        if margin is not None:
            own = scores.diagonal()[:, None]
            scores = scores.masked_fill(scores > own + margin, -torch.inf)
        return -(scores / 0.1).log_softmax(dim=1).diagonal()

    lost = (info_nce(parts[0]) - info_nce(bare[0]).detach())[[1, 3, 4]]
    assert (lost > 0).any() and (lost < 0).any()
    by_hand = 2 * lost.clamp(min=0).mean()
    value = loss(features(model))["hinge"]
    assert value.item() == pytest.approx(by_hand.item(), abs=1e-4)
    assert_same_gradients(gradients(model, value), gradients(model, by_hand))


def test_hinge_without_thoughts_is_nothing(model):
    """A batch of direct queries has no thought that could cost something."""
    loss = SupervisedLoss(model, LossConfig(**{**ONLY, "hinge": 1.0}))
    assert loss(features(model, [EXAMPLES[0], EXAMPLES[2]]))["hinge"] == 0


def test_false_negatives_are_masked():
    """A document above the own positive by more than the margin leaves the softmax; the positive stays."""
    queries = torch.eye(2)
    documents = torch.tensor([[0.6, 0.8], [0.0, 1.0], [0.8, 0.6], [0.65, 0.7599]])
    # Query 0: positive 0.6; documents 0.0, 0.8 (above by 0.2) and 0.65 (above by 0.05).
    # Query 1: positive 1.0; nothing is above.
    scores = masked_similarity(0.1)(queries, documents)
    assert scores[0].tolist() == pytest.approx([0.6, 0.0, -torch.inf, 0.65], abs=1e-4)
    assert scores[1].tolist() == pytest.approx([0.8, 1.0, 0.6, 0.7599], abs=1e-4)


def test_masking_equals_leaving_the_document_out(model):
    """With the mask, the loss is the softmax over the documents that are not above the positive."""
    twice = [
        example("red apple", "tree", negatives=("red apple",)),
        example("sea", "star", negatives=("sun",)),
    ]
    config = LossConfig(**{**ONLY, "contrastive": 1.0}, false_negative_margin=0.0)
    masked = SupervisedLoss(model, config)(features(model, twice))["contrastive"]
    plain = SupervisedLoss(model, config.model_copy(update={"false_negative_margin": None}))
    vectors = [model(column)["sentence_embedding"] for column in columns(model, twice)]
    scores = vectors[0] @ torch.cat(vectors[1:]).T
    own = scores.diagonal()[:, None]
    kept = scores.masked_fill(scores > own, -torch.inf) / config.temperature
    by_hand = -kept.log_softmax(dim=1).diagonal().mean()
    assert (scores > own).any()  # or this would prove nothing
    assert masked.item() == pytest.approx(by_hand.item(), abs=1e-5)
    assert plain(features(model, twice))["contrastive"].item() > masked.item()


# ------------------------------------------------------------------------------------------ language parts


def test_next_token_part_by_hand(model):
    """Cross entropy, averaged over the taught tokens: thought and embed token, and no token of a prompt."""
    loss = SupervisedLoss(model, LossConfig(**{**ONLY, "next_token": 1.0}))
    encoder = model[0].prompt_encoder
    total, count = torch.tensor(0.0), 0
    taught = [
        ("blue sea", "the sun and the star", True),  # cut by the limit of 6 tokens, or ended by the token
        ("sort numbers", "", True),
        ("a date", "story of a date", False),  # cut on purpose: its end is not taught
    ]
    for query, thought, ends in taught:
        ids = encoder.encode_text(thought)
        kept = ids[:6]
        if not ends:
            kept = ids[: max(1, round(0.5 * len(kept)))]
        prompt = encoder.encode_query(query, max_tokens=32).token_ids[:-1]
        is_whole = ends and len(ids) <= 6
        sequence = prompt + kept + [encoder.embed_token_id]
        logits = model[0].model(input_ids=torch.tensor([sequence])).logits[0].log_softmax(dim=-1)
        targets = range(len(prompt), len(sequence) - (0 if is_whole else 1))
        total = total - sum(logits[index - 1, sequence[index]] for index in targets)
        count += len(targets)
    found = loss(features(model))
    assert set(found) == {"next_token"}
    assert found["next_token"].item() == pytest.approx((total / count).item(), abs=1e-5)


def test_thoughts_alone_need_no_document(model):
    """Without a part that embeds, one pass over the queries is all, with the gradients of the whole loss."""
    calls = []
    model[0].model.get_decoder().register_forward_hook(
        lambda module, args, kwargs, output: calls.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    alone = SupervisedLoss(model, LossConfig(**{**ONLY, "next_token": 1.0}))
    found = gradients(model, alone(features(model))["next_token"])
    assert calls == [len(EXAMPLES)]
    both = SupervisedLoss(model, LossConfig(**{**ONLY, "contrastive": 1.0, "next_token": 1.0}))
    assert_same_gradients(found, gradients(model, both(features(model))["next_token"]))
    assert len(calls) > 2


def test_a_loss_of_nothing_is_refused():
    with pytest.raises(ValueError, match="all weights are 0"):
        LossConfig(**ONLY)
    with pytest.raises(ValueError, match="no part embeds"):
        LossConfig(**{**ONLY, "next_token": 1.0}, cached=True)


def test_kl_part_by_hand(model):
    """KL(base || model) at the taught tokens, against the model with its adapter off."""
    add_adapter(model, AdapterConfig(rank=4, train_embed_token=False))
    loss = SupervisedLoss(model, LossConfig(**{**ONLY, "kl": 1.0}))
    assert loss(features(model))["kl"].item() == pytest.approx(0.0, abs=1e-6)  # a new adapter changes nothing
    _disturb(model)
    queries = features(model)[0]
    language_model = model[0].model
    inputs = {key: queries[key] for key in ("input_ids", "attention_mask")}
    positions = (queries["attention_mask"].cumsum(dim=1) - 1).clamp(min=0)
    trained = language_model(**inputs, position_ids=positions).logits.log_softmax(dim=-1)
    language_model.disable_adapters()
    base = language_model(**inputs, position_ids=positions).logits.log_softmax(dim=-1)
    language_model.enable_adapters()
    divergence = (base.exp() * (base - trained)).sum(dim=-1)
    before = queries["target_mask"].roll(-1, dims=1).bool()  # the token before each taught one
    expected = divergence[before].mean()
    found = loss(features(model))["kl"]
    assert expected.item() > 1e-3
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)
    assert gradients(model, found)
    assert loss(features(model))["kl"].item() == pytest.approx(
        found.item(), abs=1e-6
    )  # the adapter is on again


def test_without_an_adapter_the_base_is_a_frozen_copy(model):
    """Full fine-tuning is compared with the weights it began with, which get no gradient."""
    loss = SupervisedLoss(model, LossConfig(**{**ONLY, "kl": 1.0}))
    assert loss(features(model))["kl"].item() == pytest.approx(0.0, abs=1e-6)
    names = {name for name, _ in loss.named_parameters()}
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(0.02 * torch.randn(weights.shape, generator=torch.Generator().manual_seed(1)))
    assert loss(features(model))["kl"].item() > 1e-4
    assert {name for name, _ in loss.named_parameters()} == names
    assert not any("reference" in name for name in names)


def test_nothing_taught_costs_nothing(model):
    """A batch without a taught token has language parts of exactly 0, and finite gradients."""
    untaught = [example("red apple", "tree"), example("sea", "star", thought="sun")]
    found = SupervisedLoss(model, LossConfig())(features(model, untaught))
    assert found["next_token"].item() == found["kl"].item() == 0.0
    grown = gradients(model, sum(found.values()))
    assert all(torch.isfinite(gradient).all() for gradient in grown.values())


def test_what_cannot_be_had_together_is_refused(model):
    """Gradient caching with whole-batch parts, and distillation without a teacher, are errors that say so."""
    with pytest.raises(InvalidOptionError, match="gradient caching embeds a batch in pieces"):
        SupervisedLoss(model, LossConfig(cached=True, triplet=1.0))
    with pytest.raises(InvalidOptionError, match="distillation or ranking without a teacher"):
        SupervisedLoss(model, LossConfig(distillation=1.0))


def _disturb(model):
    """Move the adapter off its first value, at which it changes nothing."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.requires_grad:
                weights.add_(0.05 * torch.randn(weights.shape, generator=generator))
