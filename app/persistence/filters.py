"""Which jobs a list has."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from app.domain.job import Status
from app.persistence.tables import jobs


@dataclass(frozen=True, kw_only=True)
class Filter:
    """All of these hold of a job; times are those between which it was created, both left out."""

    statuses: Collection[Status] = ()
    dataset: str | None = None
    name: str | None = None
    sweep: str | None = None
    metadata: Sequence[tuple[str, str]] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None


class _entry(FunctionElement[str]):  # noqa: N801 - reads as the SQL function it is
    """The text under a name of a JSON object; no path is built of the name, which may hold any character."""

    type = String()
    inherit_cache = True


@compiles(_entry, "sqlite")
def _entry_sqlite(element: _entry, compiler: SQLCompiler, **kw: Any) -> str:
    document, name = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"(SELECT value FROM json_each({document}) WHERE key = {name})"  # noqa: S608 - of compiled parts, the name is a parameter


@compiles(_entry, "postgresql")
def _entry_postgresql(element: _entry, compiler: SQLCompiler, **kw: Any) -> str:
    document, name = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({document} ->> CAST({name} AS TEXT))"


def filtered(query: Select[Any], filter: Filter) -> Select[Any]:
    """The query with what the filter asks for."""
    return query.where(*_conditions(filter), *(_entry(jobs.c.metadata, name) == value for name, value in filter.metadata))


def _conditions(filter: Filter) -> Iterator[ColumnElement[bool]]:
    if filter.statuses:
        yield jobs.c.status.in_(filter.statuses)
    if filter.created_after is not None:
        yield jobs.c.created_at > filter.created_after
    if filter.created_before is not None:
        yield jobs.c.created_at < filter.created_before
    equal = {jobs.c.dataset_id: filter.dataset, jobs.c.name: filter.name, jobs.c.sweep_id: filter.sweep}
    yield from (column == value for column, value in equal.items() if value is not None)
