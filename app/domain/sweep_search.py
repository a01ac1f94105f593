"""What a sweep varies: for each dotted path a distribution, of a few values or of all numbers between two."""

import math
from typing import Annotated

from pydantic import AfterValidator, Discriminator, Field, JsonValue, Tag

from app.domain.spec.blocks import LARGEST, WHOLE, Block, Storable

KINDS = ("choice", "range", "uniform", "log_uniform")


def _ascending(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] >= bounds[1]:
        raise ValueError("The first number must be less than the second")
    return bounds


def _stepping(bounds: list[int]) -> list[int]:
    if bounds[0] >= bounds[1]:
        raise ValueError("The start must be less than the end, which is left out")
    if bounds[2:] and bounds[2] < 1:
        raise ValueError("The step must be at least 1")
    return bounds


def _nth(size: int, place: float) -> int:
    """The place within range(size); beyond 2^53 the product may round up to the size itself."""
    return min(size - 1, int(place * size))


# Bounds that a document can tell: the largest number itself is none of those that a double can be.
Whole = Annotated[int, Field(gt=-LARGEST - 1, lt=LARGEST + 1), WHOLE]
Positive = Annotated[float, Field(gt=0)]


class Choice(Block):
    """One of some values, each as likely; a value may be a list, a block or null."""

    choice: Annotated[list[Storable], Field(min_length=1, max_length=10_000)]

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.choice)

    def at(self, place: int) -> JsonValue:
        """One of them."""
        return self.choice[place]

    def draw(self, place: float) -> JsonValue:
        """For a number within [0, 1)."""
        return self.at(_nth(self.size, place))


class Range(Block):
    """Whole numbers from the first up to, without, the second; by ones or by the step that stands third."""

    range: Annotated[list[Whole], Field(min_length=2, max_length=3), AfterValidator(_stepping)]

    @property
    def _step(self) -> int:
        return self.range[2] if len(self.range) > 2 else 1

    @property
    def size(self) -> int:
        """How many numbers there are; len(range(…)) fails beyond 63 bits."""
        return -((self.range[0] - self.range[1]) // self._step)

    def at(self, place: int) -> int:
        """One of them."""
        return self.range[0] + place * self._step

    def draw(self, place: float) -> int:
        """For a number within [0, 1)."""
        return self.at(_nth(self.size, place))


class Uniform(Block):
    """Any number between two, each as likely."""

    uniform: Annotated[tuple[float, float], Field(strict=False), AfterValidator(_ascending)]

    def draw(self, place: float) -> float:
        """For a number within [0, 1)."""
        low, high = self.uniform
        return min(high, max(low, low * (1 - place) + high * place))


class LogUniform(Block):
    """Any number between two above 0, whose logarithm is each as likely."""

    log_uniform: Annotated[tuple[Positive, Positive], Field(strict=False), AfterValidator(_ascending)]

    def draw(self, place: float) -> float:
        """For a number within [0, 1)."""
        low, high = self.log_uniform
        return min(high, max(low, math.exp(math.log(low) * (1 - place) + math.log(high) * place)))


def _kind(value: object) -> str | None:
    """Its single member; None where it has none or several."""
    members = [*type(value).model_fields] if isinstance(value, Block) else [*value] if isinstance(value, dict) else []
    return next((kind for kind in KINDS if members == [kind]), None)


Finite = Choice | Range
Distribution = Annotated[
    Annotated[Choice, Tag("choice")]
    | Annotated[Range, Tag("range")]
    | Annotated[Uniform, Tag("uniform")]
    | Annotated[LogUniform, Tag("log_uniform")],
    Discriminator(
        _kind,
        custom_error_type="wrong_type",
        custom_error_message=f"It must be an object with one member of {', '.join(KINDS)}",
    ),
]
Search = Annotated[dict[Annotated[str, Field(max_length=200)], Distribution], Field(min_length=1, max_length=64)]
