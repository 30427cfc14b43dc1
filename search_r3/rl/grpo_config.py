"""The TOML file of a reinforcement-learning run; a key nobody knows is an error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from search_r3.model.prompt_encoder import EvidenceLimits
from search_r3.model.thoughts import Reasoning
from search_r3.rl.advantages import Scaling
from search_r3.rl.environment import EnvironmentOptions
from search_r3.rl.refresh import Frozen, Full, InBatch, NoRefresh, Selective
from search_r3.rl.rewards import RetrievalReward
from search_r3.training.run_config import AdapterConfig, Section, read_run_file


class PolicyModelConfig(Section):
    """The policy to start from.

    Attributes:
        base: A trained folder, the name of a trained model that thinks, or a Hub id; its adapter is merged.
        dtype: Type of the frozen weights; the adapter is float32.
        adapter: A fresh LoRA adapter, which is all that is trained. The embed token's row stays as it is:
            the trainer's fused head cannot train it.
    """

    base: str = "smollm2-135m"
    dtype: Literal["float32", "bfloat16"] = "float32"
    adapter: AdapterConfig = AdapterConfig(train_embed_token=False)

    @field_validator("adapter")
    @classmethod
    def _plain(cls, adapter: AdapterConfig) -> AdapterConfig:
        if adapter.train_embed_token or adapter.start is not None or adapter.dropout or adapter.only_reading:
            raise ValueError(
                "wanted train_embed_token=false, no start (merge it into the base first), no dropout (what "
                "is learnt would not be what sampled), and only_reading=false"
            )
        return adapter


class SetConfig(Section):
    """How much of a set is used.

    Attributes:
        queries: Most queries.
        documents: Most documents: the relevant ones of the chosen queries, then others.
    """

    queries: int = Field(ge=1)
    documents: int = Field(ge=2)


class QueriesConfig(Section):
    """Queries and corpus. The corpora of all sets are one: a rollout is ranked among everything.

    Attributes:
        sets: Graded sets or training sets by name (``search-r3 data`` builds them), or folders in BEIR's
            format with ``qrels/train.tsv``.
        dev_sources: Training sets whose dev split is measured; its queries are not trained on.
        dev_queries: Queries of each; as in the supervised run, so that the split is the same.
        dev_documents: Documents they are ranked among.
        dev_seed: Seed of the split; that of the supervised run.
        max_query_tokens: Limit of a query with its template, without its thought.
        max_document_tokens: Limit of a document with its template.
        reads: Queries read the passages that a thought of their set is about (``bridge_records`` and the like
            come with such thoughts); those without are left out. A group's direct embedding reads them too,
            so that the gain is one of thinking. Dev sources with such thoughts are read for as well.
        max_passage_tokens: Most tokens of a passage.
        max_evidence_tokens: Most tokens of all passages of a query, beside ``max_query_tokens``.
    """

    sets: dict[str, SetConfig]
    dev_sources: tuple[str, ...] = ()
    dev_queries: int = Field(default=30, ge=0)
    dev_documents: int = Field(default=150, ge=10)
    dev_seed: int = 0
    max_query_tokens: int = Field(default=48, ge=8)
    max_document_tokens: int = Field(default=96, ge=8)
    reads: bool = False
    max_passage_tokens: int = Field(default=128, ge=1)
    max_evidence_tokens: int = Field(default=256, ge=1)

    @property
    def evidence_limits(self) -> EvidenceLimits:
        """How much of its passages a query reads."""
        return EvidenceLimits(self.max_passage_tokens, self.max_evidence_tokens)


class RolloutConfig(Section):
    """How thoughts are sampled.

    Attributes:
        group: Rollouts of a query, the one without a thought (the direct embedding) among them.
        max_thought_tokens: Longest thought; the embed token is appended when it is spent.
        temperature: Softmax temperature of the samples, and of the log-probabilities that are learnt. (The
            samples never hold special tokens; the log-probabilities do count their mass.)
        may_skip: Whether a rollout may emit the embed token first, which is how ``auto`` learns.
        generator: ``own`` samples on the live cache, which gives the embedding for free; ``trl`` samples as
            the trainer is configured to (transformers, or vLLM with ``use_vllm`` in [trainer]; the latter is
            not tested on hardware), and reads the embedding in one more pass.
    """

    group: int = Field(default=8, ge=3)
    max_thought_tokens: int = Field(default=16, ge=1)
    temperature: float = Field(default=1.0, gt=0)
    may_skip: bool = True
    generator: Literal["own", "trl"] = "own"


class RewardConfig(Section):
    """The reward of a rollout; see :mod:`search_r3.rl.reward_parts`.

    Attributes:
        retrieval: The main part, in [0, 1].
        cutoff: Largest rank that earns something; None is the size of the corpus.
        margin: Weight of the hit-gated margin.
        unfinished: Penalty of a thought that the model did not end itself: the budget cut it.
        overlength: Penalty of the longest thought, falling to 0 at ``free_tokens``.
        free_tokens: Length of a thought up to which ``overlength`` is no penalty.
        token: Penalty of each token of a thought.
        copied: Penalty of a thought all of whose words are the query's.
        direct_weight: Weight of the direct embedding's reward in the baseline; the group's mean has the rest.
        scaling: What advantages are divided by.
        shuffled: Give every rollout another rollout's reward: an ablation, which must not learn.
    """

    retrieval: RetrievalReward = "dcg"
    cutoff: int | None = Field(default=None, ge=2)
    margin: float = Field(default=0.3, ge=0)
    unfinished: float = Field(default=0.0, ge=0)
    overlength: float = Field(default=0.0, ge=0)
    free_tokens: int = Field(default=8, ge=0)
    token: float = Field(default=0.0, ge=0)
    copied: float = Field(default=0.0, ge=0)
    direct_weight: float = Field(default=0.5, ge=0, le=1)
    scaling: Scaling = "batch"
    shuffled: bool = False


class EnvironmentConfig(EnvironmentOptions):
    """The corpus index: the environment's options and its refresh policy.

    Attributes:
        refresh: The policy, chosen by its key ``policy``, with its own options.
    """

    refresh: Annotated[Selective | Full | Frozen | NoRefresh | InBatch, Field(discriminator="policy")] = (
        Selective()
    )

    @model_validator(mode="after")
    def _policy_has_what_it_asks_for(self) -> EnvironmentConfig:
        refresh = self.refresh
        if isinstance(refresh, Selective):
            for name, asked, kept in (
                ("top", refresh.top, "nearest"),
                ("neighbours", refresh.neighbours, "neighbours"),
            ):
                number = getattr(self, kept)
                if asked > number:
                    raise ValueError(
                        f"refresh has {name}={asked}, but the environment keeps {kept}={number}: "
                        "fewer documents would be encoded than asked for"
                    )
        return self


class ContrastiveConfig(Section):
    """InfoNCE on every rollout's embedding, so that it learns to be read along with the text.

    Attributes:
        weight: 0 leaves it out: policy gradient only. LREM (arXiv 2510.14321) has 0.1.
        temperature: Divides the similarities.
        negatives: Nearest wrong documents of each rollout; the answers of the batch's other queries are
            negatives as well.
    """

    weight: float = Field(default=0.1, ge=0)
    temperature: float = Field(default=0.05, gt=0)
    negatives: int = Field(default=7, ge=0)


class HealthConfig(Section):
    """When training stops because the text decays.

    Attributes:
        distinct: Least share of distinct tokens in the thoughts of an evaluation, relative to the first one.
        perplexity: Most perplexity of the thoughts under the policy that training started from.
    """

    distinct: float = Field(default=0.5, ge=0, le=1)
    perplexity: float = Field(default=1000.0, gt=1)


class RLConfig(Section):
    """A whole run.

    Attributes:
        output: Folder of checkpoints, logs, sample thoughts and the final model.
        seed: Decides queries, rollouts and every draw of the trainer.
        evaluation_arms: Arms of the dev split's scores; the first one chooses the checkpoint.
        model: The policy.
        queries: What is asked, of which corpus.
        rollouts: How thoughts are sampled.
        reward: What they earn.
        environment: How the corpus index follows the weights.
        contrastive: The contrastive part of the loss.
        health: When to stop.
        trainer: Passed to ``trl.GRPOConfig`` as it is.
    """

    output: Path
    seed: int = 0
    evaluation_arms: tuple[Reasoning, ...] = Field(default=("always", "never", "auto"), min_length=1)
    model: PolicyModelConfig = PolicyModelConfig()
    queries: QueriesConfig
    rollouts: RolloutConfig = RolloutConfig()
    reward: RewardConfig = RewardConfig()
    environment: EnvironmentConfig = EnvironmentConfig()
    contrastive: ContrastiveConfig = ContrastiveConfig()
    health: HealthConfig = HealthConfig()
    trainer: dict[str, Any] = Field(default_factory=dict)

    @field_validator("trainer")
    @classmethod
    def _keep_out(cls, trainer: dict[str, Any]) -> dict[str, Any]:
        ours = {
            "output_dir", "seed", "data_seed", "num_generations", "temperature", "reward_weights",
            "scale_rewards", "max_completion_length", "mask_truncated_completions",
            # What our rollouts would pass over.
            "top_p", "top_k", "min_p", "repetition_penalty", "generation_kwargs",
            "multi_objective_aggregation", "shuffle_dataset", "per_device_eval_batch_size",
        }  # fmt: skip
        if taken := sorted(ours & set(trainer)):
            raise ValueError(f"{taken} are decided by the other tables, or not used: take them out")
        return trainer

    @model_validator(mode="after")
    def _samples_fit_baseline(self) -> RLConfig:
        if not self.rollouts.may_skip and self.reward.direct_weight:
            raise ValueError(
                "may_skip=false wants direct_weight=0: with thoughts that are worth less than none, "
                "probability would flow to the first token that may not be sampled"
            )
        if self.rollouts.generator == "trl" and not self.rollouts.may_skip:
            raise ValueError("generator='trl' wants may_skip=true: TRL cannot forbid the first token")
        if self.trainer.get("use_vllm") and self.rollouts.generator != "trl":
            raise ValueError("use_vllm wants generator='trl' in [rollouts]")
        return self


def read_config(path: Path, changes: Sequence[str] = ()) -> RLConfig:
    """Read a reinforcement-learning run's TOML file.

    Raises:
        InvalidOptionError: As :func:`search_r3.training.run_config.read_run_file`.
    """
    return read_run_file(path, RLConfig, changes)
