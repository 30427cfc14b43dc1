"""Sentences of abstracts: where they end, and which one states an aim."""

from __future__ import annotations

import re

# How a sentence states an aim: "To assess", "Assess", "we assessed", "this study", "the aim was".
_AIM = re.compile(
    r"^(?:To|Investigate|Assess|Evaluate|Examine|Determine|Explore|Compare|Describe|Identify|Analy[sz]e|Report)\b"
    r"|\bwe (?:also |here )?(?:investigat|assess|evaluat|examin|determin|explor|compar|describ|identif|"
    r"analy[sz]|stud|test|report)|\b(?:this|present|current) (?:study|trial|review|work|article|paper)\b"
    r"|\b(?:aim(?:s|ed)?|objectives?|purposes?|goals?|sought|hypothes\w+)\b",
    re.IGNORECASE,
)
# A full stop after an initial ("U.S.", "M."), "vs.", "i.e." or "e.g." ends no sentence.
_NO_ABBREVIATION = r"(?<!\b[A-Z]\.)(?<!\bvs\.)(?<!\bi\.e\.)(?<!\be\.g\.)"


def split_sentences(text: str, ends: str) -> list[str]:
    """Split a text behind the marks in ``ends`` where no small letter follows, but not at an abbreviation."""
    return re.split(rf"(?<=[{ends}]){_NO_ABBREVIATION}\s+(?=[^a-z\s])", text)


def states_aim(sentence: str) -> bool:
    """Whether a sentence says what a study was for."""
    return _AIM.search(sentence) is not None
