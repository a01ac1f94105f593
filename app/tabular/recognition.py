"""What the cells of a text column stand for: truth values, whole numbers, numbers, ISO dates, or words."""

from collections.abc import Callable, Sequence

import polars as pl

MARKERS = ("", "NA", "N/A", "NaN", "nan", "null", "None")
"""What stands for a missing value in a text file, unless the caller says otherwise."""

Reading = Callable[[pl.Series], pl.Series]
_ISO = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$"
_SOME = 200


def without_markers(cells: pl.Series, markers: Sequence[str]) -> pl.Series:
    """The cells with null where a marker stands, spaces around it or not."""
    words = pl.col("x")
    there = ~words.str.strip_chars().is_in(list(markers))
    return pl.DataFrame({"x": cells}).select(pl.when(there).then(words)).to_series().alias(cells.name)


def recognize(cells: pl.Series, readings: Sequence[Reading] | None = None) -> pl.Series:
    """Boolean, Int64, Float64, Datetime or String, decided by all cells; a wholly missing column is Float64.

    Spaces around a value don't count, except in words, which stay as they are.
    """
    bare = cells.str.strip_chars()
    if bare.null_count() == len(bare):
        return bare.cast(pl.Float64)
    some = bare.drop_nulls().head(_SOME)
    likely = (reading for reading in readings or ALL if reading(some).null_count() == 0)
    typed = (reading(bare) for reading in likely)
    return next((series for series in typed if series.null_count() == bare.null_count()), cells)


def truth_values(bare: pl.Series) -> pl.Series:
    """`true` and `false` in any case; null for all else."""
    return bare.str.to_lowercase().replace_strict(["true", "false"], [True, False], default=None, return_dtype=pl.Boolean)


def truth_values_or_digits(bare: pl.Series) -> pl.Series:
    """As `truth_values`, and `1` and `0`, for a column that was called boolean."""
    return truth_values(bare.replace({"1": "true", "0": "false"}))


def whole_numbers(bare: pl.Series) -> pl.Series:
    """Decimal integers within 64 bits; null for all else."""
    return bare.cast(pl.Int64, strict=False)


def numbers(bare: pl.Series) -> pl.Series:
    """Decimal fractions, with or without exponent, `inf` and `nan`; null for all else."""
    return bare.cast(pl.Float64, strict=False)


def moments(bare: pl.Series) -> pl.Series:
    """ISO dates and times as naive UTC microseconds; null for all else."""
    iso = pl.when(pl.col("x").str.contains(_ISO)).then(pl.col("x").str.replace(" ", "T").str.replace("Z$", "+00:00"))
    frame = pl.DataFrame({"x": bare}).select(x=iso)
    naive = [_moment(form, None) for form in ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d")]
    zoned = [_moment(form, "UTC").dt.replace_time_zone(None) for form in ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z")]
    return frame.select(pl.coalesce(naive + zoned)).to_series().alias(bare.name)


# No text is two of these but a whole number, so that the quick ones can come first.
ALL: tuple[Reading, ...] = (whole_numbers, numbers, truth_values, moments)


def _moment(form: str, time_zone: str | None) -> pl.Expr:
    return pl.col("x").str.to_datetime(form, strict=False, time_unit="us", time_zone=time_zone)
