"""What a run holds: the pulse renews it beside the work, and knows what the run itself gives up."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from app.persistence.leases import Fence


class Held:
    """Leases, each with the id of its job or batch prediction."""

    def __init__(self, ids: Mapping[Fence, str]) -> None:
        self._ids = dict(ids)
        self._leaving = set[Fence]()

    @property
    def ids(self) -> Mapping[Fence, str]:
        """Of those that are held now."""
        return dict(self._ids)

    @contextmanager
    def leaving(self, fence: Fence) -> Iterator[None]:
        """The end or the return is in this block, which tells by itself of a lost lease; if it fails this one stays held."""
        self._leaving.add(fence)  # before the commit: after it there is no lease to be found
        try:
            yield
        except BaseException:
            self._leaving.discard(fence)
            raise
        del self._ids[fence]

    def misses(self, fence: Fence) -> bool:
        """True of a lease that is not there any more if it was lost: the run has not given it up and is not about to."""
        return fence in self._ids and fence not in self._leaving
