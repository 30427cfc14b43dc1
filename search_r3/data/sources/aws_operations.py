"""Operations of Amazon's web services: what one does finds the service and the operation's name."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from search_r3.data.pairs import TrainingPair
from search_r3.data.sources.entries import Entry, group_neighbours, sampled, training_pairs, unambiguous
from search_r3.data.sources.markup import html_text, shortened, words_of_name
from search_r3.errors import DataError

_QUERY_WORDS = 50
_LEAST_WORDS = 5


@dataclass(frozen=True)
class Operation:
    """An operation of a service.

    Attributes:
        operation_id: Unique, such as s3/CopyObject.
        service: Its full name, such as Amazon Simple Storage Service.
        name: Such as CopyObject.
        description: What it does.
    """

    operation_id: str
    service: str
    name: str
    description: str


def read_aws_operations(folder: Path) -> list[Operation]:
    """Read botocore/data: the newest service-2.json.gz of every service, by folder.

    Raises:
        DataError: There is none, or one is damaged or describes no service.
    """
    newest = {path.parents[1]: path for path in sorted(folder.glob("*/*/service-2.json.gz"))}
    operations: list[Operation] = []
    for path in newest.values():
        try:
            with gzip.open(path, "rt", encoding="utf-8") as file:
                service = json.load(file)
            name = service["metadata"]["serviceFullName"]
            operations += [
                Operation(
                    f"{path.parents[1].name}/{operation}",
                    name,
                    operation,
                    html_text(facts.get("documentation", "")),
                )
                for operation, facts in service["operations"].items()
            ]
        except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path} describes no service: {error!r}; unpack botocore again.") from None
    if not operations:
        raise DataError(f"{folder} holds no service; wanted botocore/data with service-2.json.gz files.")
    return operations


def aws_operations_pairs(operations: Sequence[Operation]) -> list[TrainingPair]:
    """Pair the beginning of a description (50 words at most) with service and operation.

    Descriptions that several operations share are left out. Negatives are other operations of the service.

    Raises:
        DataError: No operation is described.
    """
    entries = [
        Entry(
            operation.operation_id,
            operation.operation_id,
            shortened(operation.description, _QUERY_WORDS),
            f"{operation.service}: {words_of_name(operation.name)}",
        )
        for operation in operations
        if len(operation.description.split()) >= _LEAST_WORDS
    ]
    chosen = sampled(unambiguous(entries))
    return training_pairs(
        "aws_operations", chosen, group_neighbours(chosen, lambda entry: entry.entry_id.partition("/")[0])
    )
