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
        elif macro == "Nd":
            yield f"\\- {_inline(_words(rest), name)}"
        elif macro == "Bl":
            lists.append("-tag" in rest or "-hang" in rest)
            yield ".RS" if len(lists) > 1 else ".sp"
        elif macro == "El":
            if lists:
                lists.pop()
            yield ".RE" if lists else ".PP"
        elif macro == "It":
            tag = _inline(_words(rest), name)
            if lists and lists[-1]:
                yield from (".TP", tag)
            else:
                yield f'.IP "\\(bu"\n{tag}'
        elif macro in _LINE:
            # A paragraph inside of a list belongs to its item.
            yield ".sp" if macro == "Pp" and lists else _LINE[macro](rest)
        elif macro == "Nm" and not name:
            name = rest.split()[0] if rest.split() else ""
            yield _inline(_words(rest), name)
        elif macro == "Nm" and rest.endswith(" ,"):
            yield _inline(_words(rest), name)
        elif macro in _CALLABLE:
            yield _inline([macro, *_words(rest)], name)


def _words(text: str) -> list[str]:
    return [found[2] if found[1] is None else found[1].replace('""', '"') for found in _WORD.finditer(text)]


def _inline(words: Sequence[str], name: str) -> str:
    """The text of a line of inline macros: what they print, with the blanks between."""
    text = ""
    ends: list[str] = []
    glue = True
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        piece = word
        if word in ("Ns", "Pf", "Ap"):
            if word == "Pf" and index < len(words):
                text += ("" if glue else " ") + words[index]
                index += 1
            elif word == "Ap":
                text += "'"
            glue = True
            continue
        if word in ("Xo", "Xc") or (word in _FONTS and word not in _SYSTEMS):
            continue
        if word == "Fl":
            follows = words[index] if index < len(words) else ""
            if follows and follows not in _CALLABLE and follows not in _CLOSING:
                index += 1
                piece = f"\\-{follows}"
            else:
                piece, text = "\\-", text
        elif word == "Xr" and index < len(words):
            section = words[index + 1] if index + 1 < len(words) else ""
            digit = section[:1].isdigit()
            piece = f"{words[index]}({section})" if digit else words[index]
            index += 2 if digit else 1
        elif word == "Nm":
            follows = words[index] if index < len(words) else ""
            piece = name if not follows or follows in _CALLABLE or follows in _CLOSING else ""
            if not piece:
                continue
        elif word in _SYSTEMS:
            piece = _SYSTEMS[word]
        elif word in _QUOTES:
            opening, closing = _QUOTES[word]
            text += ("" if glue else " ") + opening
            ends.append(closing)
            glue = True
            continue
        elif word in _BLOCK_QUOTES:
            piece = _BLOCK_QUOTES[word]
            opens = word.endswith("o")
            text += (" " if opens and not glue else "") + piece
            glue = opens
            continue
        if piece in _CLOSING and index == len(words) and ends:
            text += "".join(reversed(ends))
            ends = []
        text += ("" if glue or piece in _CLOSING else " ") + piece
        glue = piece in _OPENING
    return text + "".join(reversed(ends))
