import gzip
import json

import pytest

from search_r3.errors import DataError, InvalidInputError
from search_r3.json_lines import (
    REPEATED,
    UnreadableLine,
    id_value,
    json_lines,
    json_objects,
    read_lines,
    text_value,
)


def file(tmp_path, content: bytes, name: str = "x.jsonl"):
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.JSONL.GZ"])
def test_lines_end_at_line_feeds_only(tmp_path, name):
    """U+2028, U+0085 and form feeds stay inside of a line; only the first line loses its byte order mark."""
    content = '\ufeff"a\u2028b\x85c"\n\x0c"\ufeffd"\r\n3'.encode()
    path = file(tmp_path, content, name.lower())
    path = path.rename(tmp_path / name)
    assert list(read_lines(path)) == [
        (1, '"a\u2028b\x85c"\n'.encode()),
        (2, '\x0c"\ufeffd"\r\n'.encode()),
        (3, b"3"),
    ]


def test_values_have_their_line_numbers(tmp_path):
    """Blank lines count but have no value; the values are those of Python's json."""
    values = [{"_id": "é", "n": 1.5}, ["q", 0.25], "a\u2028b\x85c", 7, None]
    text = "\n \n".join(json.dumps(value, ensure_ascii=False) for value in values) + "\n\n"
    assert list(json_lines(file(tmp_path, text.encode()))) == [
        (2 * place + 1, value) for place, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1', "not valid JSON (Expecting ',' delimiter at column 8)"),
        (b'"\xe9"', "not valid UTF-8 (byte 0xe9)"),
        (b"[" * 100_000, "not readable JSON ("),
        (b"1" * 5_000, "not readable JSON (Exceeds the limit (4300 digits)"),
    ],
)
def test_a_line_that_is_not_json_does_not_end_the_reading(tmp_path, line, reason):
    """The reader goes on behind it; a strict reader stops with the file, the line and the reason."""
    path = file(tmp_path, b'{"a": 1}\n' + line + b"\n[2]\n")
    first, (number, found), last = json_lines(path)
    assert (first, number, last) == ((1, {"a": 1}), 2, (3, [2]))
    assert isinstance(found, UnreadableLine) and found.reason.startswith(reason)
    objects = json_objects(path)
    assert next(objects) == (1, {"a": 1})
    with pytest.raises(DataError) as caught:
        next(objects)
    assert str(caught.value).startswith(f"{path}, line 2: {reason}")


@pytest.mark.parametrize(("line", "kind"), [(b"[1]", "list"), (b"3", "int"), (b"null", "NoneType")])
def test_strict_reader_wants_objects(tmp_path, line, kind):
    with pytest.raises(DataError, match=rf"x\.jsonl, line 2: a JSON {kind} and not an object"):
        list(json_objects(file(tmp_path, b"\n" + line)))


def test_repeated_fields_are_marked_at_any_depth(tmp_path):
    """Python's json would keep the last one without a word."""
    [(_, value)] = json_lines(file(tmp_path, b'{"a": 1, "b": {"c": 1, "c": 1}, "a": 1}'))
    assert value == {"a": REPEATED, "b": {"c": REPEATED}}


def test_numbers_that_json_does_not_have(tmp_path):
    """NaN is read unless it is forbidden."""
    path = file(tmp_path, b"NaN\n-Infinity\n1\n")
    assert [value == value for _, value in json_lines(path)] == [False, True, True]
    assert [
        value if number == 3 else value.reason for number, value in json_lines(path, allow_nan=False)
    ] == [
        "not readable JSON (got the number NaN, which JSON does not have)",
        "not readable JSON (got the number -Infinity, which JSON does not have)",
        1,
    ]


@pytest.mark.parametrize("damage", ["cut", "plain", "changed"])
def test_damaged_gzip_file_is_named(tmp_path, damage):
    """A file that is cut, is no gzip file or has a wrong checksum; what can be read before it is."""
    content = b'{"a": 1}\n' * 3
    packed = bytearray(gzip.compress(content))
    packed[-6] ^= 1
    kept = {"cut": gzip.compress(content)[:-9], "plain": content, "changed": bytes(packed)}[damage]
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(kept)
    with pytest.raises(InvalidInputError, match=r"x\.jsonl\.gz, which cannot be read as gzip"):
        list(json_lines(path))
    with pytest.raises(DataError, match=r"x\.jsonl\.gz, which cannot be read as gzip"):
        list(json_objects(path))


@pytest.mark.parametrize("value", ["a", "", "東京 🎉"])
def test_text_value(value):
    assert text_value({"x": value}, "x") == value


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"y": "a"}, "no field 'x'"),
        ({"x": None}, "the field 'x' is null"),
        ({"x": 3}, "the field 'x' is of type int"),
        ({"x": REPEATED}, "the field 'x' is there twice"),
        ({"x": "a\ud83d"}, r"lone surrogate '\\ud83d'"),
    ],
)
def test_text_value_refuses_the_rest(fields, reason):
    with pytest.raises(InvalidInputError, match=reason):
        text_value(fields, "x")


@pytest.mark.parametrize(("value", "wanted"), [("a", "a"), (7, "7"), (1.5, "1.5"), (0, "0"), (-1, "-1")])
def test_id_value(value, wanted):
    assert id_value({"x": value}, "x") == wanted


@pytest.mark.parametrize("value", [None, "", True, float("nan"), float("inf"), ["a"], REPEATED, "\udc00"])
def test_id_value_refuses_the_rest(value):
    with pytest.raises(InvalidInputError, match="'x'"):
        id_value({"x": value}, "x")
