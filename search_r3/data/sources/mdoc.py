"""Manual pages in the mdoc macros, rewritten in the man macros so that one reader serves both."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

_IS_MDOC = re.compile(r"^\.\s*Dd\b", re.MULTILINE)
_WORD = re.compile(r'"((?:[^"]|"")*)"?|(\S+)')
_CLOSING = set(".,;:)]?!")
_OPENING = set("([")
_FONTS = {
    "Ar",
    "Cm",
    "Dv",
    "Em",
    "Er",
    "Ev",
    "Fa",
    "Ft",
    "Ic",
    "In",
    "Li",
    "Ms",
    "Pa",
    "Sx",
    "Sy",
    "Va",
    "Vt",
}
_FONTS |= {
    "Ad",
    "An",
    "Tn",
    "Lk",
    "Mt",
    "No",
    "Cd",
    "Fn",
    "Fo",
    "Bsx",
    "Bx",
    "Fx",
    "Nx",
    "Ox",
    "Ux",
    "At",
    "St",
}
_QUOTES = {
    "Dq": ("\u201c", "\u201d"),
    "Qq": ('"', '"'),
    "Sq": ("\u2018", "\u2019"),
    "Ql": ("\u2018", "\u2019"),
    "Pq": ("(", ")"),
    "Op": ("[", "]"),
    "Bq": ("[", "]"),
    "Brq": ("{", "}"),
    "Aq": ("<", ">"),
}
_BLOCK_QUOTES = {"Do": "\u201c", "Dc": "\u201d", "Qo": '"', "Qc": '"', "So": "\u2018", "Sc": "\u2019"}
_BLOCK_QUOTES |= {"Po": "(", "Pc": ")", "Oo": "[", "Oc": "]", "Bo": "[", "Bc": "]", "Ao": "<", "Ac": ">"}
_SYSTEMS = {"Bx": "BSD", "Fx": "FreeBSD", "Nx": "NetBSD", "Ox": "OpenBSD", "Ux": "UNIX", "At": "AT&T UNIX"}
_SILENT = {"Ns", "Xo", "Xc", "Pf", "Ap"}
_CALLABLE = _FONTS | set(_QUOTES) | set(_BLOCK_QUOTES) | _SILENT | {"Fl", "Nm", "Xr"}
_LINE: dict[str, Callable[[str], str]] = {
    "Sh": lambda text: f".SH {text}",
    "Ss": lambda text: f".SS {text}",
    "Pp": lambda _: ".PP",
    "Bd": lambda _: ".nf",
    "Ed": lambda _: ".fi",
    "D1": lambda _: ".sp",
    "Dl": lambda _: ".sp",
}


def to_man_macros(source: str) -> str:
    """Rewrite a page in mdoc; a page in the man macros comes back as it is."""
    return "\n".join(_rewritten(source.split("\n"))) if _IS_MDOC.search(source) else source


def _rewritten(lines: Sequence[str]) -> Iterator[str]:
    name = ""
    lists: list[bool] = []  # of every open list, whether its items have tags
    for line in lines:
        macro, _, rest = line[1:].strip().partition(" ") if line.startswith(".") else ("", "", "")
        if not macro:
            yield line
        elif macro in ("Bl", "El", "It"):
            yield from _list_lines(macro, rest, name, lists)
        elif macro in _LINE:
            # A paragraph inside of a list belongs to its item.
            yield ".sp" if macro == "Pp" and lists else _LINE[macro](rest)
        elif macro == "Nd":
            yield f"\\- {_Inline(name).text(_words(rest))}"
        elif macro == "Nm" and (not name or rest.endswith(" ,")):
            name = name or rest.partition(" ")[0]
            yield _Inline(name).text(_words(rest))
        elif macro in _CALLABLE:
            yield _Inline(name).text([macro, *_words(rest)])


def _list_lines(macro: str, rest: str, name: str, lists: list[bool]) -> Iterator[str]:
    """What begins or ends a list or an item of it; ``lists`` is kept up to date."""
    if macro == "Bl":
        lists.append("-tag" in rest or "-hang" in rest)
        yield ".RS" if len(lists) > 1 else ".sp"
    elif macro == "El":
        if lists:
            lists.pop()
        yield ".RE" if lists else ".PP"
    else:
        yield ".TP" if lists and lists[-1] else '.IP "\\(bu"'
        yield _Inline(name).text(_words(rest))


def _words(text: str) -> list[str]:
    return [found[2] if found[1] is None else found[1].replace('""', '"') for found in _WORD.finditer(text)]


class _Inline:
    """Prints one line of inline macros, with the blanks between its words."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._text = ""
        self._ends: list[str] = []  # of the quotations that last until the end of the line
        self._glue = True  # whether the next word follows without a blank

    def text(self, words: Sequence[str]) -> str:
        waiting = list(words)
        while waiting:
            word = waiting.pop(0)
            if word in _SILENT:
                self._silent(word, waiting)
            elif word in _QUOTES or word in _BLOCK_QUOTES:
                self._quote(word)
            elif word in _ARGUMENTS:
                self._put(_ARGUMENTS[word](waiting, self._name))
            elif word in _SYSTEMS or word not in _FONTS:
                self._end(word, last=not waiting)
                self._put(_SYSTEMS.get(word, word))
        return self._text + "".join(reversed(self._ends))

    def _put(self, piece: str) -> None:
        if piece:
            self._text += ("" if self._glue or piece in _CLOSING else " ") + piece
            self._glue = piece in _OPENING

    def _silent(self, word: str, waiting: list[str]) -> None:
        if word == "Pf" and waiting:
            self._put(waiting.pop(0))
        elif word == "Ap":
            self._text += "'"
        self._glue = self._glue or word in ("Pf", "Ns", "Ap")

    def _quote(self, word: str) -> None:
        opening, closing = _QUOTES.get(word, (_BLOCK_QUOTES.get(word, ""), ""))
        opens = word in _QUOTES or word.endswith("o")
        self._text += ("" if self._glue or not opens else " ") + opening
        self._ends += [closing] if closing else []
        self._glue = opens

    def _end(self, word: str, last: bool) -> None:
        """A mark at the end of the line stands behind the quotation."""
        if last and word in _CLOSING:
            self._text += "".join(reversed(self._ends))
            self._ends = []


def _is_word(waiting: Sequence[str]) -> bool:
    return bool(waiting) and waiting[0] not in _CALLABLE and waiting[0] not in _CLOSING


def _flag(waiting: list[str], name: str) -> str:
    if waiting[:1] == ["Fl"]:
        waiting.pop(0)
        return "\\-" + _flag(waiting, name)
    return f"\\-{waiting.pop(0)}" if _is_word(waiting) else "\\-"


def _reference(waiting: list[str], _: str) -> str:
    page = waiting.pop(0) if waiting else ""
    return f"{page}({waiting.pop(0)})" if waiting and waiting[0][:1].isdigit() else page


def _own_name(waiting: list[str], name: str) -> str:
    return waiting.pop(0) if _is_word(waiting) else name


_ARGUMENTS = {"Fl": _flag, "Xr": _reference, "Nm": _own_name}
