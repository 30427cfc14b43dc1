import numpy as np
import pytest

from search_r3.evaluation.embedding_cache import cached_vectors

TEXTS = [f"text {number}" for number in range(600)]  # chunks of 256, 256 and 88


class Recorder:
    """Encodes a text as its length, its number and a shift; records the sizes of the chunks it is given."""

    def __init__(self, shift: float = 0.0, fail_at: int | None = None) -> None:
        self.shift, self.fail_at, self.sizes = shift, fail_at, []

    def __call__(self, texts: list[str]) -> np.ndarray:
        if self.fail_at == len(self.sizes):
            raise KeyboardInterrupt
        self.sizes.append(len(texts))
        return np.array(
            [[len(text), float(text.split()[-1]), self.shift] for text in texts], dtype=np.float32
        )


def expected(texts, shift=0.0):
    return np.array([[len(text), float(text.split()[-1]), shift] for text in texts], dtype=np.float32)


def test_vectors_are_the_encoders_in_order_and_are_reused(tmp_path):
    """Cached vectors equal fresh ones to the bit, in the order of the texts, and are encoded once."""
    encode = Recorder()
    first = cached_vectors(tmp_path / "new" / "folder", "m", TEXTS, encode)
    assert encode.sizes == [256, 256, 88]
    again = cached_vectors(tmp_path / "new" / "folder", "m", TEXTS, encode)
    assert encode.sizes == [256, 256, 88]
    assert first.dtype == again.dtype == np.float32
    np.testing.assert_array_equal(first, expected(TEXTS))
    np.testing.assert_array_equal(again, first)


def test_another_identity_is_encoded_anew(tmp_path):
    """Another model never gets this model's vectors, and leaves them alone."""
    cached_vectors(tmp_path, "m", TEXTS[:3], Recorder())
    other = Recorder(shift=1.0)
    np.testing.assert_array_equal(cached_vectors(tmp_path, "n", TEXTS[:3], other), expected(TEXTS[:3], 1.0))
    assert other.sizes == [3]
    unused = Recorder()
    np.testing.assert_array_equal(cached_vectors(tmp_path, "m", TEXTS[:3], unused), expected(TEXTS[:3]))
    assert unused.sizes == []


@pytest.mark.parametrize(
    ("texts", "sizes"),
    [
        (TEXTS[:256], []),  # the first chunk alone
        (TEXTS[:512], []),
        ([*TEXTS[:511], "changed 7"], [256]),  # one text of the second chunk differs
        ([*TEXTS, "new 8"], [89]),  # the last chunk grows
        (TEXTS[1:], [256, 256, 87]),  # all chunks shift
        (TEXTS[:256][::-1], [256]),  # another order is another chunk
    ],
)
def test_only_changed_chunks_are_encoded(tmp_path, texts, sizes):
    """A chunk is reused exactly if its texts and their order are the same."""
    cached_vectors(tmp_path, "m", TEXTS, Recorder())
    encode = Recorder()
    np.testing.assert_array_equal(cached_vectors(tmp_path, "m", texts, encode), expected(texts))
    assert encode.sizes == sizes


def test_equal_chunks_are_encoded_once(tmp_path):
    """Repeated texts in equal chunks share their vectors."""
    encode = Recorder()
    got = cached_vectors(tmp_path, "m", TEXTS[:256] * 3, encode)
    assert encode.sizes == [256]
    np.testing.assert_array_equal(got, expected(TEXTS[:256] * 3))


def test_texts_are_told_apart_by_their_borders(tmp_path):
    """Texts that give the same string when joined, or moved into the identity, have their own vectors."""
    cached_vectors(tmp_path, "m", ["a 1", "b 2"], Recorder())
    for identity, texts in (("m", ["a 1 b 2"]), ("m", ['a 1", "b 2']), ("ma 1", ["b 2"])):
        encode = Recorder()
        encode_texts = [text.replace('"', "") for text in texts]
        got = cached_vectors(tmp_path, identity, texts, lambda chunk, e=encode, t=encode_texts: e(t))
        np.testing.assert_array_equal(got, expected(encode_texts))
        assert encode.sizes == [1]


def test_interrupted_run_goes_on_where_it_stopped(tmp_path):
    """Chunks that were finished before Ctrl-C are not encoded again."""
    with pytest.raises(KeyboardInterrupt):
        cached_vectors(tmp_path, "m", TEXTS, Recorder(fail_at=2))
    encode = Recorder()
    np.testing.assert_array_equal(cached_vectors(tmp_path, "m", TEXTS, encode), expected(TEXTS))
    assert encode.sizes == [88]


def test_interrupted_write_is_not_read(tmp_path, monkeypatch):
    """A chunk cut short while it was written to disk does not count as finished."""

    def cut_short(path, vectors, allow_pickle):
        path.write_bytes(b"\x93NUMPY half")
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("search_r3.evaluation.embedding_cache.np.save", cut_short)
        with pytest.raises(OSError, match="No space"):
            cached_vectors(tmp_path, "m", TEXTS[:2], Recorder())
    encode = Recorder()
    np.testing.assert_array_equal(cached_vectors(tmp_path, "m", TEXTS[:2], encode), expected(TEXTS[:2]))
    assert encode.sizes == [2]
    assert [path.suffix for path in tmp_path.iterdir()] == [".npy"]


def test_no_texts(tmp_path):
    """No text is no vector, and the encoder is not called."""
    encode = Recorder()
    got = cached_vectors(tmp_path, "m", [], encode)
    assert (got.shape[0], got.dtype, encode.sizes) == (0, np.float32, [])


def test_other_precisions_become_float32(tmp_path):
    """An encoder's float64 is kept as float32: the first and the second reading agree."""
    texts = ["a", "b"]
    wide = np.array([[1 / 3], [2 / 3]], dtype=np.float64)
    first = cached_vectors(tmp_path, "m", texts, lambda chunk: wide)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, wide.astype(np.float32))
    np.testing.assert_array_equal(cached_vectors(tmp_path, "m", texts, Recorder()), first)


def test_encoder_with_a_vector_too_few_is_not_kept(tmp_path):
    """Vectors that do not go with the texts one by one would shift all later ones: never accepted or kept."""
    with pytest.raises(ValueError, match="vector"):
        cached_vectors(tmp_path, "m", TEXTS, lambda chunk: np.zeros((len(chunk) - 1, 3), dtype=np.float32))
    np.testing.assert_array_equal(cached_vectors(tmp_path, "m", TEXTS, Recorder()), expected(TEXTS))


def test_progress_bar_is_silent_unless_asked(tmp_path, capsys):
    """Nothing is printed by default; asked for, the bar counts the chunks on standard error."""
    cached_vectors(tmp_path, "m", TEXTS, Recorder())
    assert capsys.readouterr() == ("", "")
    cached_vectors(tmp_path, "m", TEXTS, Recorder(), show_progress_bar=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "documents" in err and "3/3" in err
