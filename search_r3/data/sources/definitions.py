"""The first definition of a dictionary article as one clean sentence, for FOLDOC's and GCIDE's layouts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_LINK = re.compile(r"\{([^{}]*)\}")
_URL_LINK = re.compile(r"\{?\(?(?:https?|ftp)://[^\s)}]*\)?\}?")
_SENSE_NUMBER = re.compile(r"^(?:1\.?|\d{1,2}\.|\([a-z0-9]\))\s+(?=\D)")
# The end of a sentence: not after an initial or a common abbreviation, and before a capital letter.
_SENTENCE_END = re.compile(
    r"[.?!](?<!\b[A-Z]\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\b[Ee]tc\.)(?<!\b[Vv]iz\.)(?<!\bcf\.)(?<!\bSt\.)(?<!\bDr\.)"
    r"(?<!\bMr\.)(?<!\bMrs\.)(?<!\bvs\.)(?<!\bapprox\.)(?<!\bca\.)(?<!\besp\.)(?<!\bNo\.)(?<!\bJr\.)"
    r"[\"')]*(?=\s+[\"'(]?[A-Z0-9])"
)

_FOLDOC_SUBJECT = re.compile(r"^<[^<>]{1,80}>\s*")
_FOLDOC_PRONUNCIATION = re.compile(r"^/[^/\s]+(?: [^/\s]+)*/,?\s*")
_FOLDOC_REMARK = re.compile(r"^\([^()]{1,300}\)\s*")
FOLDOC_NOTE = re.compile(r"\s*\[[^\[\]]{1,200}\]|\s*<[^<>\s]+@[^<>\s]+>")
_FOLDOC_LEADING = (_FOLDOC_SUBJECT, _FOLDOC_PRONUNCIATION, _FOLDOC_REMARK, _SENSE_NUMBER)
# References to other articles, and what says nothing by itself.
_FOLDOC_NO_DEFINITION = re.compile(
    r"see\b|\{[^{}]*\}\.?$|it's spelled|some such|(?:\w+ ){0,3}(?:mis)?spelling"
    r"|d(?:o|id) you mean|born\b|[^A-Za-z0-9{]|.*\?$|.*\s\d\.\s",
    re.IGNORECASE,
)

_GCIDE_HEADWORD = re.compile(r"([^\\]+?)\s*\\[^\\]*\\,?\s*")
_GCIDE_SOURCE = re.compile(r"^\s*\[[^\]]*(?:Webster|WordNet|PJC|Suppl|Century|RHUD|RP|AS)[^\]]*\]")
_GCIDE_LETTER = re.compile(r"\[(?:([\"'`^~=,*-])([A-Za-z]|ae|oe)|([a-z]{1,6}))\]")
_GCIDE_ACCENTS = {
    '"': "\u0308",
    "'": "\u0301",
    "`": "\u0300",
    "^": "\u0302",
    "~": "\u0303",
    "=": "\u0304",
    "-": "\u0304",
    ",": "\u0327",
}
_GCIDE_SYMBOLS = {
    "ae": "æ",
    "oe": "œ",
    "deg": "°",
    "thorn": "þ",
    "eth": "ð",
    "AE": "Æ",
    "OE": "Œ",
    "root": "√",
}
_GCIDE_LABEL = re.compile(r"^\((?:[^()]*\.|[A-Z][^()]{0,40})\)[,:]?\s*")
_GCIDE_USAGE = re.compile(r"\s*\[[^\[\]]*\]")
# From here on come other senses, synonyms, examples and sources.
_GCIDE_TAIL = re.compile(
    r"\s*(?:\s\([b-z]\)\s|\([ab]\)|--|(?<=[.?!])\s+\"|\b[Ss]ee\s(?=[A-Z]\w*\.?$)"
    r"|[;:,]\s*(?:(?:esp|specif|especially|specifically)\b\.?:|as[,:]|as\.?$|also,?(?:$|\s*formerly|\s*--)"
    r"|also called|called also|formerly|see\s|--)).*$"
)
# References to other articles, grammar and etymology.
_GCIDE_NO_DEFINITION = re.compile(
    r"(?:see|same as|the same as|of|(?:alt|pl|plural)\.? of|obs\.|imp\.|p\. pr?\.|pres|a? ?variant|cf\.|contr"
    r"|syn:|note:|(?:probably|perhaps)? ?from|an? (?:obsolete|old|former|dialectal) (?:form|spelling)"
    r"|a? ?\w+ spelling of|alternative|imperative|\w+ form of|a combining form|(?:[a-z]{1,4}\. ){2}"
    r"|[a-z]{1,4}\. &|[anv]\.)(?:\W|$)|[^A-Za-z]",
    re.IGNORECASE,
)


def foldoc_definition(text: str) -> tuple[list[str], str]:
    """Take headwords and definition from an article: its lines up to the first empty one are headwords.

    Returns:
        The headwords, and the first sentence of the first sense; "" if it only refers to another article.
    """
    head, _, body = text.strip("\n").partition("\n\n")
    paragraph = " ".join(body.strip("\n").split("\n\n")[0].split())
    paragraph = stripped_foldoc(FOLDOC_NOTE.sub("", paragraph))
    headwords = [line.strip() for line in head.split("\n") if line.strip()]
    if _FOLDOC_NO_DEFINITION.match(paragraph):
        return headwords, ""
    plain = _LINK.sub(r"\1", _URL_LINK.sub("", paragraph))
    sentence = _first_sentence(plain)
    if _capitals(sentence) in {_capitals(word) for word in headwords}:
        # Only what the letters of an acronym stand for; the definition comes next.
        sentence = _first_sentence(plain[len(sentence) :].strip())
    definition = _tidy(sentence)
    # What ends in the middle introduces a formula or a figure.
    return headwords, definition if definition.endswith((".", "!", ")", '"')) else ""


def stripped_foldoc(paragraph: str) -> str:
    """A first paragraph without what stands before the definition: subject, pronunciation, remarks."""
    return _stripped(paragraph, _FOLDOC_LEADING)


def gcide_definition(text: str) -> tuple[list[str], str]:
    r"""Take headwords and definition from an article: Word \pron\, part of speech [origin], then the senses.

    Returns:
        The headwords, and the first sense without labels, examples, synonyms and sources; "" if it is not in
        plain words, or only refers to another article.
    """
    lines = text.strip("\n").split("\n")
    length = _gcide_head_length(lines)
    headwords = [
        _gcide_letters(word).strip(" '`\"") for word in _GCIDE_HEADWORD.findall(" ".join(lines[:length]))
    ]
    sense: list[str] = []
    for line in lines[length:]:
        if _GCIDE_SOURCE.match(line) or (sense and not line.strip()):
            break
        sense.append(line.strip())
    definition = _gcide_letters(" ".join(sense).strip())
    definition = _stripped(_GCIDE_USAGE.sub("", definition).strip(), (_GCIDE_LABEL, _SENSE_NUMBER))
    if _GCIDE_NO_DEFINITION.match(definition):
        return headwords, ""
    definition = _GCIDE_TAIL.sub("", _first_sentence(_LINK.sub(r"\1", definition)))
    return headwords, "" if re.search(r"[\[\]{}\\?]", definition) else _tidy(definition)


def _capitals(text: str) -> str:
    return "".join(re.findall("[A-Z]", re.sub(r"\([^()]*\)", "", text)))


def _gcide_head_length(lines: list[str]) -> int:
    """Count the lines of the head: it goes on while a bracket or a pronunciation is open."""
    for number in range(1, len(lines) + 1):
        head = "\n".join(lines[:number])
        if (
            head.count("[") <= head.count("]")
            and head.count("(") <= head.count(")")
            and head.count("\\") % 2 == 0
        ):
            return number
    return len(lines)


def _gcide_letters(text: str) -> str:
    """Replace ["e] by ë, [ae] into æ and so on; what has no letter stays."""

    def letter(found: re.Match[str]) -> str:
        if found[3]:
            return _GCIDE_SYMBOLS.get(found[3], found[0])
        base = _GCIDE_SYMBOLS.get(found[2], found[2])
        return base + _GCIDE_ACCENTS.get(found[1], "")

    return unicodedata.normalize("NFC", _GCIDE_LETTER.sub(letter, text))


def _stripped(text: str, leading: Sequence[re.Pattern[str]]) -> str:
    """Take these patterns off the beginning, in any order and number."""
    rest = text
    for pattern in leading:
        rest = pattern.sub("", rest)
    return rest if rest == text else _stripped(rest, leading)


def _first_sentence(text: str) -> str:
    end = _SENTENCE_END.search(text)
    return text[: end.end()] if end else text


def _tidy(text: str) -> str:
    text = re.sub(r"\s*\(\s*\)", "", " ".join(text.split()))
    text = re.sub(r"\s+([.,;:])", r"\1", text)
    return text.strip(" ;,:-")
