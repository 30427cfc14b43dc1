"""The arms of an evaluation: what each replays, and that a query's control thought is its own affair."""

import numpy as np
import pytest

from search_r3.errors import InvalidInputError, InvalidOptionError
from search_r3.evaluation.arms import encode_arm
from search_r3.model.thoughts import Thought

QUERIES = [
    "who wrote the book?",
    "red apples",
    "a long question about the sea and the sun",
    "stars",
    "two words",
]


def thoughts_of(*rows):
    return [Thought(str(row), tuple(row), "budget") for row in rows]


OWN = thoughts_of([40, 41, 42], [50], [60, 61, 62, 63, 64, 65, 66], [], [70, 71])


def read(encoding):
    return [thought.token_ids for thought in encoding.thoughts]


def by_query(queries, encoding):
    return dict(zip(queries, read(encoding), strict=True))


@pytest.mark.parametrize("arm", ["never", "always", "auto"])
def test_the_models_own_arms_are_its_reasoning_option(tiny, arm):
    """never, always and auto give the vectors and thoughts of the runtime's option of that name."""
    got = encode_arm(tiny, QUERIES, arm, max_reasoning_tokens=4)
    wanted = tiny.encode_query_with_thoughts(QUERIES, reasoning=arm, max_reasoning_tokens=4)
    assert got.thoughts == wanted.thoughts
    np.testing.assert_array_equal(got.embeddings, wanted.embeddings)


def test_an_empty_thought_equals_no_thought(tiny):
    """The vectors of `empty` are those of `never`: replaying no tokens changes nothing."""
    never = encode_arm(tiny, QUERIES, "never")
    empty = encode_arm(tiny, QUERIES, "empty")
    np.testing.assert_allclose(empty.embeddings, never.embeddings, atol=1e-6)
    assert [(thought.token_ids, thought.ending) for thought in empty.thoughts] == [((), "given")] * len(
        QUERIES
    )


def test_random_thoughts_have_the_length_of_the_own_ones(tiny):
    """`random` draws as many tokens as the own thought has, none of them special, the vectors following."""
    encoding = encode_arm(tiny, QUERIES, "random", own_thoughts=OWN)
    assert [thought.length for thought in encoding.thoughts] == [3, 1, 7, 0, 2]
    encoder = tiny[0].prompt_encoder
    drawn = {token_id for row in read(encoding) for token_id in row}
    assert encoder.structural_ids.isdisjoint(drawn)
    replayed = tiny.encode_query_with_thoughts(QUERIES, thoughts=encoding.thoughts)
    np.testing.assert_allclose(encoding.embeddings, replayed.embeddings, atol=1e-6)


def test_random_thoughts_are_uniform_over_the_allowed_tokens(tiny):
    """Every token a thought may hold is drawn about equally often, the embed token never."""
    encoder = tiny[0].prompt_encoder
    allowed = encoder.allowed_thought_ids(encoder.vocabulary_size).nonzero().flatten().tolist()
    allowed.remove(encoder.embed_token_id)
    long = thoughts_of([40] * 60)
    queries = [f"query {number}" for number in range(200)]
    encoding = encode_arm(tiny, queries, "random", own_thoughts=long * 200, batch_size=50)
    counts = np.bincount([i for row in read(encoding) for i in row], minlength=encoder.vocabulary_size)
    assert set(np.flatnonzero(counts)) <= set(allowed)
    expected = 12_000 / len(allowed)
    # Chi-squared over its degrees of freedom is 1, give or take sqrt(2 / degrees) per standard deviation.
    chi_squared = ((counts[allowed] - expected) ** 2 / expected).sum() / (len(allowed) - 1)
    assert abs(chi_squared - 1) < 6 * (2 / (len(allowed) - 1)) ** 0.5


def test_random_thoughts_depend_on_seed_and_text_only(tiny):
    """Neighbours and order do not change a query's random thought; another seed does."""
    all_of_them = read(encode_arm(tiny, QUERIES, "random", own_thoughts=OWN, seed=3))
    reverse = read(encode_arm(tiny, QUERIES[::-1], "random", own_thoughts=OWN[::-1], seed=3, batch_size=2))
    assert reverse[::-1] == all_of_them
    assert read(encode_arm(tiny, QUERIES[2:3], "random", own_thoughts=OWN[2:3], seed=3)) == all_of_them[2:3]
    assert read(encode_arm(tiny, QUERIES, "random", own_thoughts=OWN, seed=4))[2] != all_of_them[2]


def test_echo_is_the_whole_query_again(tiny):
    """All of its tokens, also more than the budget; of one that is cut those that are read; none of none."""
    encoder = tiny.reasoning_module.prompt_encoder
    long = "z" * 300
    queries = ["two words", "", long, "a query of many more words than the budget of eight tokens allows"]
    encoding = encode_arm(tiny, queries, "echo", max_reasoning_tokens=1, on_truncation="ignore")
    room = 128 - 16  # the template takes 16 tokens
    wanted = [encoder.encode_text(query)[:room] for query in queries]
    assert [list(thought.token_ids) for thought in encoding.thoughts] == wanted
    assert [len(ids) for ids in wanted[1:3]] == [0, room] and len(wanted[3]) > 8
    given = tiny.encode_query_with_thoughts(queries, thoughts=wanted, on_truncation="ignore")
    np.testing.assert_array_equal(encoding.embeddings, given.embeddings)
    with pytest.raises(InvalidInputError, match="Input 1"):
        encode_arm(tiny, ["fine", None], "echo")


def test_repeat_echoes_the_query(tiny):
    """`repeat` goes round the query's own tokens until the own thought's length, and knows an empty query."""
    encoder = tiny[0].prompt_encoder
    ids = encoder.encode_text("two words")
    own = thoughts_of([40] * (2 * len(ids) + 1), [40], [40, 41])
    encoding = encode_arm(tiny, ["two words", "two words", ""], "repeat", own_thoughts=own)
    assert read(encoding) == [(*ids, *ids, ids[0]), (ids[0],), ()]


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_gives_everyone_another_querys_thought(tiny, seed):
    """`shuffled` hands out exactly the own thoughts, and nobody gets their own."""
    got = read(encode_arm(tiny, QUERIES, "shuffled", own_thoughts=OWN, seed=seed))
    own = [thought.token_ids for thought in OWN]
    assert sorted(got) == sorted(own)
    assert all(mine != given for mine, given in zip(own, got, strict=True))


def test_shuffled_depends_on_the_seed_and_not_on_the_order(tiny):
    """The same seed gives a query the same thought in any order of the queries; other seeds give others."""
    runs = {
        seed: by_query(QUERIES, encode_arm(tiny, QUERIES, "shuffled", own_thoughts=OWN, seed=seed))
        for seed in range(6)
    }
    reverse = encode_arm(tiny, QUERIES[::-1], "shuffled", own_thoughts=OWN[::-1], seed=2)
    assert by_query(QUERIES[::-1], reverse) == runs[2]
    assert len({tuple(run.values()) for run in runs.values()}) > 1


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_keeps_duplicates_from_their_own_thought(tiny, seed):
    """Two queries of the same text do not swap their equal thoughts while there are enough others."""
    queries = ["same", "same", "other", "third", "same", "fourth"]
    own = thoughts_of([40], [40], [50], [60], [40], [70])
    got = read(encode_arm(tiny, queries, "shuffled", own_thoughts=own, seed=seed))
    assert all(mine.token_ids != given for mine, given in zip(own, got, strict=True))
    assert sorted(got) == [(40,), (40,), (40,), (50,), (60,), (70,)]


def test_shuffled_accepts_what_it_cannot_avoid(tiny):
    """Where most thoughts are equal, every other thought is still used, and all equal is no error."""
    own = thoughts_of([40], [40], [40], [50])
    got = read(encode_arm(tiny, ["a", "b", "c", "d"], "shuffled", own_thoughts=own))
    assert sorted(got) == [(40,), (40,), (40,), (50,)]
    assert got[3] == (40,)
    assert read(encode_arm(tiny, ["a", "b"], "shuffled", own_thoughts=own[:2])) == [(40,), (40,)]


def test_shuffled_needs_another_query(tiny):
    """With one query there is nobody to take a thought from: an error, with no thought generated first."""
    with pytest.raises(InvalidInputError, match="one query in the arm 'shuffled'"):
        encode_arm(tiny, ["alone"], "shuffled")


@pytest.mark.parametrize("arm", ["random", "repeat", "shuffled"])
def test_own_thoughts_are_generated_when_they_are_not_given(tiny, arm):
    """Without own thoughts a control arm thinks first, with the same instruction and budget."""
    prompt = "find it: "
    own = encode_arm(tiny, QUERIES, "always", max_reasoning_tokens=5, prompt=prompt).thoughts
    given = encode_arm(tiny, QUERIES, arm, own_thoughts=own, prompt=prompt)
    generated = encode_arm(tiny, QUERIES, arm, max_reasoning_tokens=5, prompt=prompt)
    assert read(generated) == read(given)
    np.testing.assert_array_equal(generated.embeddings, given.embeddings)
    if arm == "random":
        assert [thought.length for thought in given.thoughts] == [thought.length for thought in own]


def test_wrong_arms_and_numbers_are_refused(tiny):
    """An unknown arm names the known ones; a wrong number of own thoughts is named as such."""
    with pytest.raises(
        InvalidOptionError, match=r"Got the arm 'sometimes', wanted one of never, always, auto"
    ):
        encode_arm(tiny, QUERIES, "sometimes")
    with pytest.raises(InvalidInputError, match="got 2 own thoughts for 5 queries"):
        encode_arm(tiny, QUERIES, "random", own_thoughts=OWN[:2])


@pytest.mark.parametrize("arm", ["never", "always", "empty", "echo", "random", "repeat", "shuffled"])
def test_no_queries_are_no_error(tiny, arm):
    """Every arm of no queries has no vectors and no thoughts."""
    encoding = encode_arm(tiny, [], arm)
    assert encoding.embeddings.shape == (0, tiny.get_embedding_dimension())
    assert encoding.thoughts == []
