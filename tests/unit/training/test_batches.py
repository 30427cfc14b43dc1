"""Batches within a budget of padded tokens: nothing is exceeded, mixed, repeated or wasted."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_r3.training.batches import ExampleShape, TokenBudgetBatchSampler


def shape(name, query=1, documents=(1,), group="a 0"):
    return ExampleShape(group, query, tuple(documents), frozenset({f"query {name}", f"document {name}"}))


def sampler(shapes, tokens=10_000, rows=8, **options):
    return TokenBudgetBatchSampler(shapes, batch_tokens=tokens, batch_rows=rows, **options)


def padded(shapes, batch):
    """Tokens of a batch with its padding: every column is as wide as its longest."""
    columns = zip(
        *((shapes[index].query_tokens, *shapes[index].document_tokens) for index in batch), strict=True
    )
    return len(batch) * sum(max(column) for column in columns)


def padding(shapes, batches):
    real = sum(shapes[index].tokens for batch in batches for index in batch)
    return sum(padded(shapes, batch) for batch in batches) - real


def mixed(count, seed=0):
    """Examples of random lengths, one half of each of two groups."""
    generator = random.Random(seed)
    return [
        shape(
            number,
            generator.randint(5, 60),
            [generator.randint(10, 120) for _ in range(1 + number % 2)],
            f"source {number % 2}",
        )
        for number in range(count)
    ]


SHAPES = mixed(1500)


def test_tokens_of_an_example_are_those_of_all_its_sequences():
    """The query's and every document's tokens count."""
    assert shape("x", 3, (5, 7, 11)).tokens == 26


def test_batches_by_hand():
    """Equally long examples fill the budget: of 5 + 15 tokens, 4 rows are 80 and 5 would be 100."""
    batches = list(sampler([shape(number, 5, (15,)) for number in range(20)], tokens=99))
    assert [len(batch) for batch in batches] == [4] * 5
    assert sorted(index for batch in batches for index in batch) == list(range(20))
    # One token more in the budget makes room for the fifth row.
    assert [len(batch) for batch in sampler([shape(n, 5, (15,)) for n in range(20)], tokens=100)] == [5] * 4


def test_budget_counts_the_longest_of_every_column():
    """Rows of 10 + 2 and of 2 + 10 tokens are 12 each and 20 together: 3 rows of one kind fit, 2 of both."""
    alike = [shape(number, 10, (2,)) for number in range(6)]
    assert sorted(map(len, sampler(alike, tokens=40))) == [3, 3]  # 3 * 12 = 36
    # Mixed rows are 20 wide: 2 * 20 = 40, 3 * 20 = 60.
    unlike = [shape(0, 10, (2,)), shape(1, 2, (10,))]
    assert [sorted(batch) for batch in sampler(unlike, tokens=40)] == [[0, 1]]
    assert list(sampler(unlike, tokens=39)) == []


def test_rows_are_limited():
    """With room for all, batches have batch_rows rows, and the rest makes a smaller one."""
    assert sorted(map(len, sampler([shape(number) for number in range(22)], rows=8))) == [6, 8, 8]


def test_an_example_alone_is_left_out():
    """A batch of one has no in-batch negatives: of 17 examples in batches of 4 one is not used."""
    batches = list(sampler([shape(number) for number in range(17)], rows=4))
    assert [len(batch) for batch in batches] == [4] * 4


def test_too_long_examples_are_left_out():
    """Two rows of which do not fit the budget cannot be trained on, and do not hold up the others."""
    shapes = [shape(number, 1, (4,)) for number in range(8)] + [
        shape("long", 1, (60,)),
        shape("longer", 1, (99,)),
    ]
    batches = list(sampler(shapes, tokens=100))
    assert sorted(index for batch in batches for index in batch) == list(range(8))


@pytest.mark.parametrize(("tokens", "rows"), [(512, 64), (1024, 8), (4096, 64)])
def test_limits_hold_on_mixed_lengths(tokens, rows):
    """Budget, rows and groups hold on mixed lengths, and nearly every example is used once."""
    batches = list(sampler(SHAPES, tokens, rows))
    used = [index for batch in batches for index in batch]
    assert len(set(used)) == len(used) > 0.93 * len(SHAPES)
    for batch in batches:
        assert padded(SHAPES, batch) <= tokens
        assert 2 <= len(batch) <= rows
        assert len({SHAPES[index].group for index in batch}) == 1


def test_padding_by_hand():
    """Documents of 1 to 128 tokens, 8 to a batch: sorted, they waste 28 a batch; at random, 14 times that."""
    shapes = [shape(number, 1, (number + 1,)) for number in range(128)]
    order = list(range(128))
    random.Random(0).shuffle(order)
    # In a batch of n + 1, ..., n + 8 the padding is 7 + 6 + ... + 0 = 28; there are 16 batches.
    found = padding(shapes, sampler(shapes, rows=8))
    assert found == 16 * 28
    # The longest of 8 out of 128 is 8 * 129 / 9 = 114.7 on average: 128 * 114.7 - 128 * 129 / 2 = 6421.
    assert padding(shapes, [order[start : start + 8] for start in range(0, 128, 8)]) > 12 * found


def test_padding_of_mixed_lengths():
    """One column of random lengths in many buckets wastes less than a tenth of what random batches do."""
    generator = random.Random(1)
    shapes = [shape(number, 10, (generator.randint(10, 120),)) for number in range(2000)]
    batches = list(sampler(shapes, rows=16))
    random_ones = [list(range(start, start + 16)) for start in range(0, 2000, 16)]
    assert padding(shapes, batches) < 0.1 * padding(shapes, random_ones)


def test_batches_depend_on_seed_and_epoch():
    """The same seed and epoch give the same batches, on a new object too; another of either gives others."""
    seen = {}
    for seed in (0, 1):
        one, two = sampler(SHAPES, seed=seed), sampler(SHAPES, seed=seed)
        for epoch in (0, 1, 2, 0):
            one.set_epoch(epoch)
            seen.setdefault((seed, epoch), list(one))
            assert list(one) == seen[seed, epoch]
        two.set_epoch(2)  # without having made the epochs before
        assert list(two) == seen[seed, 2]
    for known in seen:
        for other in seen:
            assert known == other or seen[known] != seen[other]
    # Not the order of the batches only: their members are others as well.
    first, second = ({frozenset(batch) for batch in seen[0, epoch]} for epoch in (0, 1))
    assert len(first & second) < 0.1 * len(first)


def test_batches_are_not_in_the_order_of_length():
    """Short and long batches come in any order: neither sorted by length nor group by group."""
    batches = list(sampler(SHAPES))
    lengths = [padded(SHAPES, batch) / len(batch) for batch in batches]
    steps = sum(after > before for before, after in pairwise(lengths))
    assert 0.35 < steps / (len(lengths) - 1) < 0.65
    groups = [SHAPES[batch[0]].group for batch in batches]
    assert sum(one != two for one, two in pairwise(groups)) > 0.35 * len(groups)


def test_length_is_the_number_of_batches():
    """len is that of the epoch at hand."""
    ours = sampler(SHAPES, tokens=700)
    for epoch in range(3):
        ours.set_epoch(epoch)
        assert len(ours) == len(list(ours)) > 100
    assert len(sampler([])) == 0
    assert list(sampler([])) == []


def test_no_batch_holds_a_key_twice():
    """Of 100 examples about 5 things, each twenty times, every batch of up to 16 holds each thing once."""
    shapes = [ExampleShape("a 0", 1, (1,), frozenset({f"query {number % 5}"})) for number in range(100)]
    batches = list(sampler(shapes, rows=16))
    assert [sorted(index % 5 for index in batch) for batch in batches] == [[0, 1, 2, 3, 4]] * 20
    assert sorted(index for batch in batches for index in batch) == list(range(100))


def test_one_shared_key_of_several_is_enough():
    """Examples with the same document and other queries never meet."""
    shapes = [ExampleShape("a 0", 1, (1,), frozenset({f"query {n}", f"document {n // 2}"})) for n in range(8)]
    batches = list(sampler(shapes))
    assert sorted(map(len, batches)) == [4, 4]
    assert all(len({index // 2 for index in batch}) == 4 for batch in batches)


@pytest.mark.parametrize(
    ("count", "rows", "wanted"),
    [(22, 4, [3, 3, 4, 4, 4, 4]), (23, 4, [3, 3, 4, 4, 4, 4]), (18, 4, [4] * 4), (3, 4, [])],
)
def test_processes_by_hand(count, rows, wanted):
    """Two processes get batches of a kind: 22 are 8 + 8 + 6, halved; an odd one or two of 18 are too few."""
    batches = list(sampler([shape(number) for number in range(count)], rows=rows, processes=2))
    assert sorted(map(len, batches)) == wanted
    assert all(len(one) == len(two) for one, two in zip(batches[::2], batches[1::2], strict=True))


def test_processes_get_equally_long_examples():
    """A sorted batch is dealt round-robin: no process has the short half."""
    shapes = [shape(number, 1, (number + 1,)) for number in range(16)]
    one, two = sampler(shapes, rows=8, processes=2)
    assert sorted([one, two]) == [list(range(0, 16, 2)), list(range(1, 16, 2))]


@settings(max_examples=150, deadline=None)
@given(
    drawn=st.lists(
        st.tuples(
            st.integers(0, 2),  # group, which has as many documents and one more
            st.tuples(*[st.integers(1, 40)] * 4),  # lengths
            st.sets(st.integers(0, 30), max_size=2),  # keys
        ),
        max_size=60,
    ),
    tokens=st.integers(4, 400),
    rows=st.integers(2, 8),
    processes=st.integers(1, 3),
    epoch=st.integers(0, 3),
)
def test_invariants(drawn, tokens, rows, processes, epoch):
    """Whatever the shapes: no limit is exceeded, nothing mixed or repeated, and processes agree."""
    shapes = [
        ExampleShape(f"g {group}", query, tuple(documents[: group + 1]), frozenset(map(str, keys)))
        for group, (query, *documents), keys in drawn
    ]
    ours = sampler(shapes, tokens, rows, processes=processes)
    ours.set_epoch(epoch)
    batches = list(ours)
    used = [index for batch in batches for index in batch]
    assert len(set(used)) == len(used)
    assert len(ours) == len(batches)
    assert len(batches) % processes == 0
    assert all(2 <= len(batch) <= rows and padded(shapes, batch) <= tokens for batch in batches)
    for start in range(0, len(batches), processes):
        step = batches[start : start + processes]
        together = [shapes[index] for batch in step for index in batch]
        assert len({len(batch) for batch in step}) == 1
        assert len({one.group for one in together}) == 1
        # Negatives are gathered across processes, so keys must differ across them.
        assert len({key for one in together for key in one.keys}) == sum(len(one.keys) for one in together)


@pytest.mark.parametrize("processes", [1, 2, 8])
def test_the_loader_gives_every_process_all_of_its_batches(processes):
    """accelerate deals the batches out, and keeps those that are not full: none of them is lost."""
    from accelerate.data_loader import BatchSamplerShard

    found = sampler(SHAPES, tokens=1500, rows=8, processes=processes)
    assert len({len(batch) for batch in found}) > 2  # the budget binds: they are of several sizes
    shards = [
        list(BatchSamplerShard(found, num_processes=processes, process_index=rank, even_batches=False))
        for rank in range(processes)
    ]
    assert [batch for together in zip(*shards, strict=True) for batch in together] == list(found)


def test_an_answer_is_not_the_wrong_document_of_another_query():
    """The hard negatives of an example keep out those they answer, whichever comes first."""
    shapes = [
        ExampleShape(
            "a 1",
            1,
            (1, 1),
            frozenset({f"query {n}", f"document {n}"}),
            negatives=frozenset({f"document {(n + 1) % 12}"}),
        )
        for n in range(12)
    ]
    batches = list(sampler(shapes, rows=12))
    assert sorted(index for batch in batches for index in batch) == list(range(12))
    for batch in batches:
        assert not any((index + 1) % 12 in batch for index in batch)


def test_both_exits_share_batches():
    """Queries are laid side by side by their length without the thought."""
    generator = random.Random(0)
    shapes = []
    for number in range(400):
        length, thought = generator.randint(5, 40), 12 * (number % 2)
        keys = frozenset({f"query {number}"})
        shapes.append(ExampleShape("a 0", length + thought, (30,), keys, thought_tokens=thought))
    for batch in sampler(shapes, rows=20):
        thinking = sum(shapes[index].thought_tokens > 0 for index in batch) / len(batch)
        assert 0.1 < thinking < 0.9
