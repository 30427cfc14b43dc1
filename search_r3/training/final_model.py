"""The model that a run of either stage ends in: the base with the adapter merged."""

from __future__ import annotations

from pathlib import Path

from search_r3.files import atomic_folder, remove_leftovers
from search_r3.model.adapter import attach_reading_adapter, merge_adapter
from search_r3.model.default import load_model
from search_r3.model.prompt_encoder import EvidenceLimits
from search_r3.model.sentence_transformer import SearchR3
from search_r3.model.thoughts import Reasoning
from search_r3.training.run_folder import ADAPTER, FINAL


def save_merged(
    base: str,
    output: Path,
    max_reasoning_tokens: int | None = None,
    *,
    reasoning: Reasoning | None = None,
    evidence: EvidenceLimits | None = None,
    only_reading: bool = False,
) -> None:
    """Merge a run's adapter into its base, loaded anew in the precision it is stored in, and save that.

    Args:
        base: What the configuration's base names.
        output: The run's folder; the adapter is in it.
        max_reasoning_tokens: Budget that the model thinks with unless told otherwise; None keeps the base's.
        reasoning: Whether its queries think unless told otherwise; None keeps the base's. See
            :func:`reasoning_after`.
        evidence: How much of their evidence its queries read; None keeps the base's.
        only_reading: Do not merge the adapter: it is on while a query reads.
    """
    put_on = attach_reading_adapter if only_reading else merge_adapter
    model = put_on(load_model(base), output / ADAPTER)
    if max_reasoning_tokens is not None:
        model.reasoning_module.max_reasoning_tokens = max_reasoning_tokens
    if reasoning is not None:
        model.reasoning_module.reasoning = reasoning
    if evidence is not None:
        model.reasoning_module.evidence_limits = evidence
    save_final(model, output)


def reasoning_after(before: Reasoning, *, thoughts: bool) -> Reasoning:
    """Whether queries think, by default, after a run: not after one without thoughts, which taught none.

    Args:
        before: What the base does.
        thoughts: Whether the run trained on thoughts.
    """
    if not thoughts:
        return "never"
    return "always" if before == "never" else before


def save_final(model: SearchR3, output: Path) -> None:
    """Save the model that a run ends in; a kill leaves the one before, or none."""
    with atomic_folder(output / FINAL, replace=True) as part:
        remove_leftovers(output, FINAL)  # a run's folder has one writer
        model.save(str(part), create_model_card=False)
