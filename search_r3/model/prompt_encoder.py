"""Token ids of a sequence, assembled so that user text cannot forge its structure.

The trusted template segments are tokenised with special tokens on, the user's text with them off, and the
ids are concatenated. Every token that can carry structure (special tokens, and added tokens that the chat
template uses, such as ``<think>``) is therefore out of the text's reach, while its spelling stays searchable.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from search_r3.errors import InvalidInputError, InvalidOptionError, ModelError
from search_r3.model.template import Template
from search_r3.model.thoughts import Thought


@dataclass(frozen=True)
class EncodedText:
    """Ids of one complete sequence, which always ends with the embed token.

    Attributes:
        token_ids: Prefix, text, suffix, thought, embed token.
        text_span: Start and end of the untrusted text (instruction included) within ``token_ids``. Evidence
            follows it.
        thought_length: Tokens of thought before the embed token; -1 when a query is free to think.
        dropped_tokens: Tokens cut from the end of the text to meet the limit.
        dropped_evidence_tokens: Tokens of passages that were cut or left out.
    """

    token_ids: list[int]
    text_span: tuple[int, int]
    thought_length: int
    dropped_tokens: int
    dropped_evidence_tokens: int = 0


@dataclass(frozen=True)
class EvidenceLimits:
    """How much of its evidence a query reads.

    Attributes:
        passage_tokens: Most tokens of one passage; it is cut from its end.
        evidence_tokens: Most tokens of all passages with what the template puts around them. The passage that
            exceeds it is cut, and those after it are left out.
    """

    passage_tokens: int = 128
    evidence_tokens: int = 512


def structural_token_ids(
    tokenizer: PreTrainedTokenizerBase, template: Template | None = None
) -> frozenset[int]:
    """Ids of every token that can open, close or separate a part of a sequence.

    These are the special tokens, and the other added tokens that occur in the chat template or in
    ``template``; added tokens that are only whitespace are ordinary text.
    """
    templates = tokenizer.chat_template or ""
    chat_template = "".join(templates.values()) if isinstance(templates, dict) else templates
    trusted = chat_template + "".join(template.to_dict().values() if template else ())
    structural = set(tokenizer.all_special_ids)
    for token_id, token in tokenizer.added_tokens_decoder.items():
        if token.special or (token.content.strip() and token.content in trusted):
            structural.add(token_id)
    # A token that stands for unknown characters is content: a text may come out with it. That is so only
    # where the vocabulary itself has one; a byte-level tokenizer that merely names one (SmolLM2) needs none.
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    has_unknown = model.get("unk_token") is not None or model.get("unk_id") is not None
    named = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    return frozenset(structural - ({tokenizer.unk_token_id} - named if has_unknown else set()))


def _text_tokenizer(tokenizer: PreTrainedTokenizerBase, structural: frozenset[int]) -> Tokenizer:
    """A copy of the fast tokenizer that reads structural tokens as ordinary text."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    for token in state["added_tokens"]:
        token["special"] |= token["id"] in structural
    copy = Tokenizer.from_str(json.dumps(state))
    copy.encode_special_tokens = True
    copy.no_truncation()
    copy.no_padding()
    return copy


class PromptEncoder:
    """Turns texts, instructions and thoughts into token ids for one model.

    Args:
        tokenizer: A fast tokenizer that knows ``embed_token`` as a special token.
        template: The trusted strings around the text.
        embed_token: The token whose hidden state is the embedding.

    Raises:
        ModelError: If the tokenizer is not a fast one or lacks the embed token.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, template: Template, embed_token: str) -> None:
        if not tokenizer.is_fast:
            raise ModelError(
                f"Got the slow tokenizer {type(tokenizer).__name__}, wanted a fast one (tokenizer.json)."
            )
        embed_token_id = tokenizer.convert_tokens_to_ids(embed_token)
        self.structural_ids = structural_token_ids(tokenizer, template)
        is_known = embed_token in tokenizer.get_vocab()  # an unknown token would get the unknown token's id
        if not is_known or embed_token_id not in self.structural_ids:
            raise ModelError(
                f"{embed_token!r} is not a special token of this tokenizer. Make a base with "
                "search_r3.prepare_base(...) first."
            )
        self.embed_token_id: int = embed_token_id
        self.vocabulary_size = len(tokenizer)
        self._text_tokenizer = _text_tokenizer(tokenizer, self.structural_ids)
        self._special_ids = sorted(self.structural_ids.union(tokenizer.all_special_ids))
        self._decode = tokenizer.decode

        def segment(text: str) -> list[int]:
            return list(tokenizer.encode(text, add_special_tokens=False)) if text else []

        begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        adds_bos = bool(begin) and tokenizer("x").input_ids[:1] == begin
        self._segments: dict[str, tuple[list[int], list[int]]] = {}
        for role, prefix, suffix in (
            ("query", template.query_prefix, template.query_suffix),
            ("document", template.document_prefix, template.document_suffix),
        ):
            head = segment(prefix)
            if adds_bos and head[:1] != begin:
                head = begin + head
            self._segments[role] = (head, segment(suffix))
        self._evidence_head = segment(template.evidence_prefix)
        self._passage_segments = (segment(template.passage_prefix), segment(template.passage_suffix))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # Copying and pickling a fast tokenizer lose this flag, and with it the protection.
        self._text_tokenizer.encode_special_tokens = True

    def allowed_thought_ids(self, size: int) -> torch.Tensor:
        """Mask of the ids a thought may hold, the embed token among them (it ends the thought).

        Args:
            size: Rows of the model's output matrix, padding rows included.

        Returns:
            Boolean tensor of shape (size,). Special and structural tokens and padding rows are False.
        """
        allowed = torch.zeros(size, dtype=torch.bool)
        allowed[: self.vocabulary_size] = True
        allowed[self._special_ids] = False
        allowed[self.embed_token_id] = True
        return allowed

    def template_ids(self, role: str) -> tuple[list[int], list[int]]:
        """Ids before and behind a text of a role, ``query`` or ``document``, without the embed token."""
        head, suffix = self._segments[role]
        return list(head), list(suffix)

    def encode_text(self, text: object) -> list[int]:
        """Tokenise untrusted text; no structural token can come out.

        Raises:
            InvalidInputError: If ``text`` is not a string, or holds lone surrogates (which are not Unicode
                text: no encoding, and so no tokenizer, can represent them).
        """
        if not isinstance(text, str):
            raise InvalidInputError(
                f"got {type(text).__name__} ({text!r:.60}), wanted a string. Convert or drop it first.", text
            )
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InvalidInputError(
                f"got a lone surrogate at position {error.start} of {text!r:.60}, wanted valid Unicode. "
                'Replace it, e.g. with text.encode("utf-8", "replace").decode().',
                text,
            ) from None
        return self._plain_ids(text)

    def encode_query(
        self,
        text: object,
        *,
        thought: object = None,
        evidence: object = (),
        instruction: str = "",
        max_tokens: int,
        limits: EvidenceLimits = EvidenceLimits(),
    ) -> EncodedText:
        """Assemble a query sequence.

        Args:
            text: The query.
            thought: A :class:`Thought`, a string or token ids to replay; None leaves the query free to think.
            evidence: Passages that are read before thinking: a list or tuple of texts. None is the same as no
                passage.
            instruction: Trusted as content, not as structure: it precedes the text and is never cut.
            max_tokens: Limit for the sequence without its thought. The text is cut from its end to meet it;
                evidence has the room that the text leaves.
            limits: Limits of the evidence alone.

        Raises:
            InvalidInputError: If the text, the thought or a passage cannot be used.
            InvalidOptionError: If template and instruction alone exceed ``max_tokens``.
        """
        thought_ids = None if thought is None else self._thought_ids(thought)
        passages = self._passage_ids(evidence)
        return self._assemble("query", text, thought_ids, instruction, max_tokens, passages, limits)

    def encode_document(self, text: object, *, instruction: str = "", max_tokens: int) -> EncodedText:
        """Assemble a document sequence; see :meth:`encode_query`. Documents never hold a thought."""
        return self._assemble("document", text, [], instruction, max_tokens)

    def decode_thought(self, token_ids: Sequence[int]) -> str:
        """The text of a thought's tokens."""
        return str(
            self._decode(list(token_ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        )

    def _plain_ids(self, text: str) -> list[int]:
        encoding = self._text_tokenizer.encode(text, add_special_tokens=False)
        token_ids: list[int] = encoding.ids
        if self.structural_ids.isdisjoint(token_ids):
            return token_ids
        # A Unigram vocabulary can hold the spelling of a special token as an ordinary piece. Cut inside the
        # spelling, neither half is that piece.
        cuts = [0]
        for token_id, (start, end) in zip(token_ids, encoding.offsets, strict=True):
            if token_id in self.structural_ids:
                if end - start < 2:
                    raise InvalidInputError(
                        f"the tokenizer makes a special token of the text {text!r:.60}; embedding it could "
                        "move the read-out. Please report this tokenizer.",
                        text,
                    )
                cuts.append(start + 1)
        pieces = [text[start:end] for start, end in zip(cuts, [*cuts[1:], len(text)], strict=True)]
        return [token_id for piece in pieces for token_id in self._plain_ids(piece)]

    def _assemble(
        self,
        role: str,
        text: object,
        thought_ids: list[int] | None,
        instruction: str,
        max_tokens: int,
        passages: Sequence[list[int]] = (),
        limits: EvidenceLimits = EvidenceLimits(),
    ) -> EncodedText:
        prefix, suffix = self._segments[role]
        text_ids = self.encode_text(text)
        instruction_ids = self.encode_text(instruction)
        room = max_tokens - len(prefix) - len(instruction_ids) - len(suffix) - 1
        if room < 1:
            raise InvalidOptionError(
                f"A limit of {max_tokens} tokens leaves no room for text: the {role} template takes "
                f"{len(prefix) + len(suffix) + 1} tokens and the prompt {len(instruction_ids)}. "
                "Raise max_seq_length or shorten the prompt."
            )
        dropped = max(0, len(text_ids) - room)
        before = prefix + instruction_ids + text_ids[:room]
        room = min(limits.evidence_tokens, max_tokens - len(before) - len(suffix) - 1)
        evidence, dropped_evidence = self._fitted(passages, room, limits.passage_tokens)
        token_ids = before + evidence + suffix + (thought_ids or []) + [self.embed_token_id]
        thought_length = -1 if thought_ids is None else len(thought_ids)
        return EncodedText(token_ids, (len(prefix), len(before)), thought_length, dropped, dropped_evidence)

    def _fitted(self, passages: Sequence[list[int]], room: int, most: int) -> tuple[list[int], int]:
        """The passages with what is put around them in at most ``room`` tokens, and the tokens left out."""
        prefix, suffix = self._passage_segments
        evidence: list[int] = []
        dropped = 0
        for passage in passages:
            head = [] if evidence else self._evidence_head
            space = room - len(evidence) - len(head) - len(prefix) - len(suffix)
            kept = passage[: max(0, min(most, space))]
            dropped += len(passage) - len(kept)
            if kept:
                evidence += head + prefix + kept + suffix
        return evidence, dropped

    def _passage_ids(self, evidence: object) -> list[list[int]]:
        if evidence is None:
            return []
        if not isinstance(evidence, list | tuple):
            raise InvalidInputError(
                f"got evidence of type {type(evidence).__name__}, wanted a list of texts for each query.",
                evidence,
            )
        passages = []
        for number, passage in enumerate(evidence):
            try:
                passages.append(self.encode_text(passage))
            except InvalidInputError as error:
                raise InvalidInputError(
                    f"passage {number} of its evidence: {error.reason}", passage
                ) from None
        return passages

    def _thought_ids(self, thought: object) -> list[int]:
        if isinstance(thought, str):
            return self.encode_text(thought)
        token_ids: Any = thought.token_ids if isinstance(thought, Thought) else thought
        if isinstance(token_ids, np.ndarray | torch.Tensor):
            token_ids = token_ids.tolist()
        is_row = isinstance(token_ids, Sequence) and not isinstance(token_ids, bytes | bytearray)
        if not is_row or not all(isinstance(i, Integral) for i in token_ids):
            raise InvalidInputError(
                f"got a thought of type {type(thought).__name__}, wanted a Thought, a string or token ids.",
                thought,
            )
        bad = [i for i in token_ids if i in self.structural_ids or not 0 <= i < self.vocabulary_size]
        if bad:
            raise InvalidInputError(
                f"got a thought with the token ids {bad[:5]}, which are special or outside the vocabulary "
                f"(0 to {self.vocabulary_size - 1}); a thought is plain text without the embed token.",
                thought,
            )
        return [int(i) for i in token_ids]
