"""Keyset paging: a page begins after an id, never at an offset."""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select


@dataclass(frozen=True, kw_only=True)
class Page:
    """Up to `limit` items beyond the id `after`, newest first unless `order` says otherwise."""

    limit: int = 20
    after: str | None = None
    order: Literal["asc", "desc"] = "desc"


def paged(query: Select[Any], id: ColumnElement[str], page: Page) -> Select[Any]:
    """The query for one page, and for one row more, which says that there is another page."""
    descending = page.order == "desc"
    if page.after is not None:
        query = query.where(id < page.after if descending else id > page.after)
    return query.order_by(id.desc() if descending else id.asc()).limit(page.limit + 1)
