"""Help pages of R in its binary format, written here by hand."""

import struct
import zlib

import pytest

from search_r3.data.sources.r_help import HelpPage, read_help_pages
from search_r3.errors import DataError


def integers(*numbers):
    return struct.pack(f">{len(numbers)}i", *numbers)


def text(value):
    return integers(9 | 4 << 16, len(value.encode())) + value.encode()


def texts(value):
    return integers(16, 1) + text(value)


NIL = integers(254)


class Writer:
    """Vectors with the attribute Rd_tag; its name is a symbol once, and a reference from then on."""

    def __init__(self):
        self.has_symbol = False

    def tagged(self, kind, markup, *parts):
        has_attributes = 1 << 9
        body = integers(kind | has_attributes, len(parts)) + b"".join(parts)
        symbol = integers(255 | 1 << 8) if self.has_symbol else integers(1) + text("Rd_tag")
        self.has_symbol = True
        return body + integers(2 | 1 << 10) + symbol + texts(markup) + NIL

    def words(self, value):
        return self.tagged(16, "TEXT", text(value))

    def part(self, markup, value, *more):
        return self.tagged(19, markup, self.words(value), *more)


def block(content):
    packed = zlib.compress(b"X\n" + integers(3, 0x40202, 0x30500, 5) + b"UTF-8" + content)
    return struct.pack(">i", len(content)) + packed


def page(*keywords):
    writer = Writer()
    parts = [
        writer.part("\\name", "tea"),
        writer.part("\\title", "Tea\n Drunk"),
        writer.part("\\description", "How much ", writer.part("\\emph", "tea"), writer.part("\\url", "x.y")),
        writer.part("\\usage", "tea()"),
        writer.part("\\source", "A caf\u00e9."),
        writer.part("\\details", "In cups."),
        *(writer.part("\\keyword", keyword) for keyword in keywords),
    ]
    return block(integers(19, len(parts)) + b"".join(parts))


# What stands beside every page: a list with numbers, dates, and an environment by name and one in full.
EXTRA = block(
    integers(19, 4)
    + (integers(10, 1, 1) + integers(14, 1) + bytes(8))
    + (integers(247, 0, 1) + text("env::1"))
    + (integers(4, 0) + NIL + NIL + NIL + NIL)
)


def test_pages(tmp_path):
    """The parts of a page in one line each, details before source, links and usage left out."""
    path = tmp_path / "tea.rdb"
    path.write_bytes(page("datasets") + EXTRA + page("models", "data"))
    wanted = ("tea", "Tea Drunk", "How much tea", "In cups. A caf\u00e9.")
    assert read_help_pages(path) == [HelpPage(*wanted, True), HelpPage(*wanted, False)]


@pytest.mark.parametrize(
    "data",
    [
        page("datasets")[:-40],
        b"\0\0\0\1no zlib",
        struct.pack(">i", 3) + zlib.compress(b"RDX"),
        block(integers(24, 1)),
        block(integers(19, 5)),
    ],
)
def test_damage(tmp_path, data):
    """What is cut, or of another format, is an error that says what to do."""
    path = tmp_path / "tea.rdb"
    path.write_bytes(data)
    with pytest.raises(DataError, match="unpack its package again"):
        read_help_pages(path)
