"""Headings of manuals as queries: cleaned, and joined to the titles above them where they need it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_LEAST_WORDS = 3
"""Words of a heading by itself; with its title above it, one less."""

_MOST_WORDS = 24
_WORDS_OF_A_SENTENCE = 6
_SECTIONS_OF_A_PAGE = 60
"""A page with more sections holds a whole manual, and its title says little."""

_NUMBER = re.compile(
    r"^(?:(?:chapter|appendix|part|section|annex)\s+)?(?:[A-Z]|\d+|[IVX]+)(?:\.\d+)*[.:)]\s+"
    r"|^(?:chapter|appendix|part|section|annex)\s+[A-Z\d]+\s*[:.\u2014\u2013-]?\s+"
    r"|^(?:[A-Z]\.)?\d+(?:\.\d+)+\s+|^\d+\s+(?=(?-i:[A-Z]))",
    re.IGNORECASE,
)
_MARKS = re.compile(
    r"[¶§\uf0c1]|\[(?:source|edit|top)\]|(?<=\w)\(\d[a-z]*\)(?: manual page)?$", re.IGNORECASE
)
_KIND = re.compile(
    r"^(?:(?:async|abstract|class|classmethod|static|staticmethod|coroutine|awaitable|exception|"
    r"property|function|"
    r"method|attribute|struct|enum|macro)\s+)+(?=[\w.:]+\s*(?:[(=:]|$))"
)
_ARGUMENTS = re.compile(r"^(?:[\w*&]+\s+)*[*&]*([\w.:]+)\s?\(.*$", re.DOTALL)
_VALUE = re.compile(r"^([\w.]+)\s*[:=]\s.*$", re.DOTALL)

# Headings that do not say what they are about.
_VAGUE = re.compile(
    r"(?:(?:an?|the|some|more|other|general|basic|further|additional|brief|short|quick|detailed|common|"
    r"usage|"
    r"advanced|optional|important) )*"
    r"(?:descriptions?|examples?|notes?|options?|overviews?|introduction|usage|use|summary|details?|"
    r"background|"
    r"parameters?|arguments?|returns?|return values?|syntax|synopsis|remarks?|general|information|"
    r"requirements?|"
    r"configuration|configuration files?|structures?|installation|setup|getting started|basics?|"
    r"conclusions?|limitations?|others?|miscellaneous|"
    r"misc|purpose|concepts?|commands?|functions?|methods?|attributes?|properties|fields?|values?|"
    r"settings?|"
    r"caveats?|bugs|issues|known issues|problems|troubleshooting|features?|files|environment|prerequisites|"
    r"preface|motivation|definitions?|terminology|discussion|rationale|how it works|what is it|tutorial|"
    r"outputs?|inputs?|diagnostics|exit status|variables?|(?:configuration|environment) variables|hooks|"
    r"operations?|activat\w+ the .*|elements|the .* (?:dialog|tab) options|dialog|overview of .*|name|"
    r"how to use|reference|api|glossary|index|home|main page|"
    r"documentation|contents|faq|steps?|procedures?|step \w+|\d[\d.]*|key modifiers.*|instructions|"
    r"tips?|hints?)"
    r"(?: and .*)?",
    re.IGNORECASE,
)
_LEFT_OUT = re.compile(
    r"(?:see also|copyright|licen[cs]es?|index|table of contents|contents|credits|acknowledge?ments?|"
    r"authors?|"
    r"contributors|bibliography|references|further reading|resources|external links|links|related .*|"
    r"change ?logs?|changes|revision history|colophon|footnotes|feedback|reporting bugs|git|legal notices?|"
    r"translators?|maintainers?|navigation|search|todo|download|comments?|release notes.*|"
    r"(?:changes in )?release [\d.]+.*|indices and tables|"
    r"about this (?:document|manual|guide|book)|(?:document |typographical |notational )?conventions|"
    r"what.s new.*|gnu .*licen[cs]e.*|.* index|module contents|submodules|subpackages|"
    r"credits and licen[cs]e|.*\blicen[cs]e\b.*(?:version|agreement).*|quick links?|topics|subsections|"
    r"inheritance diagram|this page|concept index|list of .*)",
    re.IGNORECASE,
)


def clean_title(title: str) -> str:
    """A heading without its number and its mark for links."""
    text = " ".join(_MARKS.sub(" ", title).split())
    return (_NUMBER.sub("", text) or text).strip(" :.;#")


def _clean_term(term: str) -> str:
    """A term without its marks; of the signature of a function or an attribute the name."""
    text = _KIND.sub("", " ".join(_MARKS.sub(" ", term).split()))
    return _VALUE.sub(r"\1", _ARGUMENTS.sub(r"\1", text)).strip(" :.;")


def is_left_out(title: str) -> bool:
    """Whether the sections below a heading say nothing about the manual's subject."""
    return _LEFT_OUT.fullmatch(clean_title(title)) is not None


@dataclass(frozen=True)
class Heading:
    """A heading and where it stands.

    Attributes:
        subject: What its manual is about.
        titles: The titles from the page's down to the heading's own.
        is_term: Whether it is a term of a list of definitions.
    """

    subject: str
    titles: tuple[str, ...]
    is_term: bool = False


def queries(headings: Mapping[str, Heading]) -> dict[str, str]:
    """The query of every heading that can be told from all others.

    Args:
        headings: The headings by an id.

    Returns:
        By the id, the heading itself if it has three words, is not vague, is no term and is there once; else
        it with as few titles above it as will do.
    """
    roots = Counter(heading.titles[0] for heading in headings.values())
    forms = {
        key: _forms(heading, roots[heading.titles[0]] <= _SECTIONS_OF_A_PAGE)
        for key, heading in headings.items()
    }
    # A heading that is there again needs its titles there too, even if the other one has a longer form.
    own = Counter(
        clean_title(heading.titles[-1]).casefold() for heading in headings.values() if not heading.is_term
    )
    counts = Counter(form.casefold() for these in forms.values() for form in these)
    found = {}
    for key, these in forms.items():
        for form in these:
            folded = form.casefold()
            if counts[folded] == 1 and own[folded] < 2 and _fits(form):
                found[key] = form
                break
    return found


def _fits(form: str) -> bool:
    words = form.split()
    letters = sum(letter.isalpha() for letter in form)
    least = _LEAST_WORDS - (": " in form)
    return least <= len(words) <= _MOST_WORDS and letters * 2 > len(form)


def _forms(heading: Heading, root_first: bool) -> list[str]:
    """Wordings of a heading, from the shortest one that makes sense by itself to the longest."""
    above = [clean_title(title) for title in heading.titles[:-1]]
    own = (_clean_term if heading.is_term else clean_title)(heading.titles[-1])
    named = [title for title in _distinct(above) if title not in ("", own) and not _VAGUE.fullmatch(title)]
    if not own or (_VAGUE.fullmatch(own) and not named):
        return []
    # A question among the terms of a list makes sense by itself, an option does not.
    is_term = heading.is_term and len(own.split()) < _WORDS_OF_A_SENTENCE
    forms = [] if is_term or _VAGUE.fullmatch(own) else [own]
    if named:
        # What a term belongs to is what its page is about, unless the page holds the whole manual.
        near = named[0] if is_term and root_first else named[-1]
        forms += [f"{near}: {own}", f"{named[0]}: {own}"]
    if len(named) > 1:
        forms.append(f"{named[0]}: {named[-1]}: {own}")
    longest = forms[-1] if forms else own
    if heading.subject.casefold() not in longest.casefold():
        forms.append(f"{heading.subject}: {longest}")
    return list(dict.fromkeys(forms))


def _distinct(titles: Iterable[str]) -> list[str]:
    return list({title.casefold(): title for title in titles}.values())
