"""From a stored dataset that does not fit into memory to the rows of a job, piece by piece, as `load` would have them.

In memory are a label for each row, then one column after the other while it is fitted, then one row group.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from app.domain.bundles import TEST, TRAIN, VALIDATION
from app.domain.columns import AnyTarget, FittedColumn, FittedTarget
from app.domain.schema import Column
from app.domain.spec import ResolvedSpec
from app.tabular.loading import Fitted, as_list, check_weight, columns_read
from app.tabular.preprocessing import Matrix, Vector, fit_column, transform
from app.tabular.row_groups import row_groups
from app.tabular.split import assign
from app.tabular.target import (
    Codes,
    class_weights,
    describe_target,
    encode_target,
    fit_target,
    row_weights,
    target_columns,
    with_range,
)

_LEFT_OUT = 255
# Cells of inputs that are transformed at once.
_PIECE = 1 << 20


@dataclass(frozen=True)
class Piece:
    """Some rows of a part, in file order: x, y and w as in Loaded, but that w is None only where no row of the job has one."""

    part: int
    x: Matrix
    y: Codes | Vector
    w: Vector | None


class Streamed:
    """A dataset that was split and fitted, to be read again as pieces."""

    def __init__(
        self,
        spec: ResolvedSpec,
        columns: Sequence[Column],
        parquet: Path,
        *,
        validation: Path | None = None,
        test: Path | None = None,
        given: Fitted | None = None,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """See `load`; `alive` is called now and then, for all this takes a while."""
        self._spec, self._parquet, self._alive = spec, parquet, alive
        self._own = {part: path for part, path in ((VALIDATION, validation), (TEST, test)) if path is not None}
        target = self._split(columns, given)
        described = {column.name: column for column in columns}
        fitted = given or Fitted([self._fit(described[name]) for name in spec.features], target)
        self.fitted = replace(fitted, target=target, class_weights=as_list(self._by_class))

    def pieces(self) -> Iterator[Piece]:
        """All rows of all parts; each part's come in file order.

        Raises InvalidData: as `load`.
        """
        weights: dict[int, float] = {}
        for part, rows in self._rows():
            for few in rows.iter_slices(max(1, _PIECE // self._spec.layers[0])):
                piece = self._piece(part, few)
                if piece.w is not None:
                    weights[part] = weights.get(part, 0.0) + float(piece.w.sum())
                yield piece
            self._alive()
        for weight in weights.values():
            check_weight(self._spec, weight)

    def _split(self, columns: Sequence[Column], given: Fitted | None) -> AnyTarget:
        """Decide for each row of the file where it belongs, from its label and the split's column alone."""
        spec, target = self._spec, given.target if given else describe_target(self._spec, columns)
        known, labels = self._labels(target)
        parts = assign(spec, labels, self._cells(known))
        self._by_class = class_weights(spec, labels[parts == TRAIN])
        self._weighted = self._by_class is not None or spec.sample_weight is not None
        self._part_of = np.full(len(known), _LEFT_OUT, np.uint8)
        self._part_of[known] = parts
        self._alive()
        unfitted = given is None and target.classes is None and spec.preprocessing.target != "none"
        training = self._training(target_columns(spec)) if unfitted or spec.clip_predictions else pl.DataFrame()
        return with_range(spec, fit_target(spec, columns, training) if unfitted else target, training)

    def _labels(self, target: AnyTarget) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        """Which rows have a target, and the class codes of those, in a type as small as can be; zeros where there are none."""
        names, known, labels = target_columns(self._spec), [], []
        stratified = isinstance(target, FittedTarget) and target.classes is not None
        for group in row_groups(self._parquet, names):
            there = group.select(pl.all_horizontal(pl.col(names).is_not_null())).to_series()
            codes = encode_target(target, group.filter(there)) if stratified else np.zeros(int(there.sum()))
            known.append(there.to_numpy())
            labels.append(codes.astype(np.min_scalar_type(len(target.classes or ()))))
        return np.concatenate(known), np.concatenate(labels)

    def _cells(self, known: NDArray[np.bool_]) -> pl.DataFrame:
        """The split's column of the rows that have a target; nothing where there is none."""
        column = self._spec.split.column
        return pl.read_parquet(self._parquet, columns=[column]).filter(pl.Series(known)) if column else pl.DataFrame()

    def _training(self, names: Sequence[str]) -> pl.DataFrame:
        return pl.read_parquet(self._parquet, columns=list(names)).filter(pl.Series(self._part_of == TRAIN))

    def _fit(self, column: Column) -> FittedColumn:
        fitted = fit_column(self._spec, column, self._training([column.name]).to_series())
        self._alive()
        return fitted

    def _rows(self) -> Iterator[tuple[int, pl.DataFrame]]:
        start, names = 0, columns_read(self._spec)
        for group in row_groups(self._parquet, names):
            part_of = self._part_of[start : start + len(group)]
            start += len(group)
            yield from ((part, group.filter(pl.Series(part_of == part))) for part in (TRAIN, VALIDATION, TEST))
        for part, path in self._own.items():
            yield from ((part, group.drop_nulls(target_columns(self._spec))) for group in row_groups(path, names))

    def _piece(self, part: int, rows: pl.DataFrame) -> Piece:
        y = encode_target(self.fitted.target, rows)
        weight = rows[self._spec.sample_weight] if self._spec.sample_weight else None
        w = row_weights(self._by_class, y, weight)
        return Piece(part, transform(self.fitted.columns, rows), y, np.ones(len(y)) if w is None and self._weighted else w)
