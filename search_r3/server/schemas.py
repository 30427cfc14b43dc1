"""Bodies of requests and answers: OpenAI's fields, and ours beside them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from search_r3.model.thoughts import Ending, Reasoning, Thought

Text = Annotated[str, StringConstraints(strict=True)]
Count = Annotated[int, Field(strict=True)]
Role = Literal["query", "document"]


class Body(BaseModel):
    """A request's body; a field that nobody knows is an error, and so is a number in place of a text."""

    model_config = ConfigDict(extra="forbid")


class EmbeddingsBody(Body):
    """``POST /v1/embeddings``.

    Attributes:
        input: A text or a list of texts. Token ids are refused: the template around a text is the model's.
        model: Name of the model, with a suffix or without: ``:query``, ``:query-think``, ``:document``;
            None is the model without a suffix.
        encoding_format: ``float``, or ``base64`` of little-endian float32.
        dimensions: The model's own number, or none.
        user: Not used.
        input_type: The role, instead of a suffix; without either a text is a document.
        task: The same by another name.
        reasoning: Whether queries think; None means the model's default.
        max_reasoning_tokens: Budget of a thought; None means the model's default.
        instruction: Put before every text; None means none.
        evidence: For each query the passages that it reads before it thinks.
        return_thoughts: Whether the answer has what was thought.
        truncation: What to do with a text that is too long: ``cut`` it at its end, or ``error``.
    """

    input: Text | list[Text] | list[Count] | list[list[Count]]
    model: Text | None = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(strict=True, ge=1)] | None = None
    user: Text | None = None
    input_type: Role | None = None
    task: Role | None = None
    reasoning: Reasoning | None = None
    max_reasoning_tokens: Annotated[int, Field(strict=True, ge=0, le=1024)] | None = None
    instruction: Text | None = None
    evidence: list[list[Text]] | None = None
    return_thoughts: Annotated[bool, Field(strict=True)] = False
    truncation: Literal["cut", "error"] = "cut"


class SearchBody(Body):
    """``POST /v1/search``.

    Attributes:
        query: The query.
        k: Hits.
        reasoning: Whether the query thinks; None means the model's default.
        max_reasoning_tokens: Budget of a thought; None means the model's default.
        thought: Think this instead.
        hybrid: Join the ranking with BM25's.
        steps: Searches one after another; from the second on the query reads what was found.
        read: Passages that it reads in a step.
        together: Read them together and think once, instead of a thought for each.
        explain: Compare with the ranking without the thought.
        stream: Answer with server-sent events: ``thought``, the thought so far, after each of its tokens;
            then ``result`` or ``error``, what the answer would have been.
    """

    query: Text
    k: Annotated[int, Field(strict=True, ge=1, le=100)] = 10
    reasoning: Reasoning | None = None
    max_reasoning_tokens: Annotated[int, Field(strict=True, ge=0, le=1024)] | None = None
    thought: Text | None = None
    hybrid: Annotated[bool, Field(strict=True)] = False
    steps: Annotated[int, Field(strict=True, ge=1, le=5)] = 1
    read: Annotated[int, Field(strict=True, ge=1, le=10)] = 3
    together: Annotated[bool, Field(strict=True)] = False
    explain: Annotated[bool, Field(strict=True)] = False
    stream: Annotated[bool, Field(strict=True)] = False


class ThoughtAnswer(BaseModel):
    """What was thought."""

    text: str
    tokens: int
    ending: Ending

    @classmethod
    def of(cls, thought: Thought) -> ThoughtAnswer:
        """The answer's form of a thought."""
        return cls(text=thought.text, tokens=thought.length, ending=thought.ending)


class EmbeddingAnswer(BaseModel):
    """One text's vector; ``dropped_tokens`` were cut from its end."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str
    dropped_tokens: int = 0
    thought: ThoughtAnswer | None = None


class Usage(BaseModel):
    """Tokens of the sequences, template included; those of thoughts are counted by themselves."""

    prompt_tokens: int
    total_tokens: int
    thought_tokens: int


class EmbeddingsAnswer(BaseModel):
    """Vectors in the order of the texts."""

    object: Literal["list"] = "list"
    data: list[EmbeddingAnswer]
    model: str
    usage: Usage


class HitAnswer(BaseModel):
    """A document found; ``direct_rank`` is its rank without the thought."""

    rank: int
    doc_id: str
    score: float
    text: str
    direct_rank: int | None = None


class StepAnswer(BaseModel):
    """One search of a step."""

    read: list[str]
    thought: ThoughtAnswer
    found: list[str]


class SearchAnswer(BaseModel):
    """What a query found, in how many seconds; those that it waited for others are not counted."""

    query: str
    thought: ThoughtAnswer
    hits: list[HitAnswer]
    cosine_to_direct: float | None = None
    steps: list[list[StepAnswer]] = []
    seconds: float


class ModelAnswer(BaseModel):
    """A model that can be asked for."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "search-r3"


class ModelsAnswer(BaseModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[ModelAnswer]


class ErrorAnswer(BaseModel):
    """An error."""

    error: dict[str, Any]
