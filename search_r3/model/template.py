"""The text around a query or a document: plain strings, saved with the model.

A sequence is always ``prefix + text + suffix`` and then, for a query, the thought, and then the embed token.
Passages that a query reads (its evidence) stand between its text and its suffix. The template's strings are
*trusted*: special tokens written in them are special. The texts between them are not.

Chat templates are rendered once, when a base is prepared, and stored as strings. Rendering at run time would
let a template that prints today's date (Llama 3 does) change every vector at midnight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from search_r3.errors import InvalidOptionError, ModelError

EMBED_TOKEN = "<|embed_token|>"

REASONING_SYSTEM = (
    "You enrich a search query so that it can be embedded well. Be brief. "
    "1. Name its core concepts and how they relate. "
    "2. Add key terms with a short definition. "
    "3. Add synonyms and related terms. "
    "4. Link it to related topics or uses, without elaborating. "
    f"End every reply with {EMBED_TOKEN}."
)
"""System text for queries. The four parts follow the released Search-R3 example; the wording is ours."""

DOCUMENT_SYSTEM = (
    "Analyse the input and represent it as one semantic vector that covers its key concepts, their relations "
    "and its meaning."
)
"""System text for documents. The content follows the released Search-R3 example; the wording is ours."""

DOCUMENT_LEAD = "The embedding is "
"""What the assistant says before the embed token of a document (the paper's stage-1 form)."""


EVIDENCE_FIELDS = frozenset({"evidence_prefix", "passage_prefix", "passage_suffix"})
"""Fields of a template that no document and no query without evidence looks at."""


@dataclass(frozen=True)
class Template:
    """The trusted strings around the untrusted texts.

    Those of evidence have defaults, which models have that were saved before there was evidence.

    Attributes:
        query_prefix: Precedes the query text.
        query_suffix: Follows the query text and precedes the thought.
        document_prefix: Precedes the document text.
        document_suffix: Follows the document text and precedes the embed token.
        evidence_prefix: Precedes the first passage; it is left out where there is none.
        passage_prefix: Precedes every passage.
        passage_suffix: Follows every passage.
    """

    query_prefix: str
    query_suffix: str
    document_prefix: str
    document_suffix: str
    evidence_prefix: str = "\n\nPassages:\n"
    passage_prefix: str = "- "
    passage_suffix: str = "\n"

    def to_dict(self) -> dict[str, str]:
        """Return the strings as a JSON-ready dictionary."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, str]) -> Template:
        """Build a template from :meth:`to_dict`'s output.

        Raises:
            InvalidOptionError: If keys are missing or unknown, or a value is not a string.
        """
        known = set(cls.__dataclass_fields__)
        wanted = known - EVIDENCE_FIELDS
        if not wanted <= set(data) <= known or not all(isinstance(value, str) for value in data.values()):
            raise InvalidOptionError(
                f"A template needs the string fields {sorted(wanted)}, and may have "
                f"{sorted(EVIDENCE_FIELDS)}, got {data!r}. Correct `template` in sentence_bert_config.json."
            )
        return cls(**data)


COMPACT_TEMPLATE = Template(
    query_prefix="query:\n",
    query_suffix="\nthought:\n",
    document_prefix="document:\n",
    document_suffix="\n",
    evidence_prefix="\nread:",
    passage_prefix="\n",
    passage_suffix="",
)
"""For tiny models: seven tokens in all. Newlines keep the tokens of the text independent of the template."""


def render_chat_template(
    apply_chat_template: Callable[..., Any],
    *,
    query_system: str = REASONING_SYSTEM,
    document_system: str = DOCUMENT_SYSTEM,
    document_lead: str = DOCUMENT_LEAD,
) -> Template:
    """Freeze a model's own chat template into a :class:`Template` (the paper-faithful form).

    The system text is a system message where the chat template has that role, and the head of the user
    message where it does not (Gemma).

    Args:
        apply_chat_template: The tokenizer's bound method of that name.
        query_system: System text for queries; must make the model reason.
        document_system: System text for documents.
        document_lead: Start of the assistant's turn for documents.

    Raises:
        ModelError: If the chat template alters or repeats the user's text, so that it cannot be split.
    """
    query_prefix, query_suffix = _split_rendered(apply_chat_template, query_system)
    document_prefix, document_suffix = _split_rendered(apply_chat_template, document_system)
    return Template(query_prefix, query_suffix, document_prefix, document_suffix + document_lead)


def _split_rendered(apply_chat_template: Callable[..., Any], system: str) -> tuple[str, str]:
    from jinja2.exceptions import TemplateError

    marker = "SEARCHR3USERTEXT"
    try:
        conversation = [{"role": "system", "content": system}, {"role": "user", "content": marker}]
        rendered = apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
    except TemplateError:
        rendered = ""
    if system not in rendered:  # the template refuses the system role, or passes over it
        conversation = [{"role": "user", "content": f"{system}\n\n{marker}"}]
        rendered = apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
    parts = rendered.split(marker)
    if len(parts) != 2:
        raise ModelError(
            f"The chat template shows the user's text {len(parts) - 1} times, wanted exactly once. "
            "Pass an explicit `template=` to prepare_base."
        )
    return parts[0], parts[1]
