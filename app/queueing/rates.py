"""Requests of each project, counted in Redis, so that all API processes agree."""

import asyncio
import math
import time

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.storage.redis.redispy import RedispyBridge
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError

from app.domain.allowance import Allowance
from app.queueing.counted_ahead import CountedAhead

log = structlog.get_logger()

# No request waits longer for its number, and after one that did none is counted for a while.
PATIENCE_SECONDS = 0.2
AWAY_SECONDS = 2.0
MOST_CONNECTIONS = 256


class RedisRates:
    """One per API process, on its event loop; connects with the first request."""

    def __init__(self, redis_url: str, *, per_minute: int) -> None:
        self._storage = RedisStorage(
            redis_url.replace("redis+socket://", "redis+unix://", 1),
            implementation="redispy",
            key_prefix="trainyard-requests",
            socket_timeout=PATIENCE_SECONDS,
            socket_connect_timeout=PATIENCE_SECONDS,
            max_connections=MOST_CONNECTIONS,
        )
        self._limiter = SlidingWindowCounterRateLimiter(self._storage)
        self._limit = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._ahead = CountedAhead(per_minute)
        self._asking: dict[str, asyncio.Lock] = {}
        self._try_at = -math.inf

    @property
    def is_counting(self) -> bool:
        """False where there is no limit."""
        return self._limit is not None

    def answers_at_once(self, project_id: str) -> bool:
        """True where nobody has to be asked: there is no limit, or a request of that project was counted before it came."""
        return self._limit is None or self._ahead.has(project_id)

    def take_at_once(self, project_id: str) -> Allowance | None:
        """One request that was counted before it came; None where there is none."""
        return self._ahead.take(project_id)

    async def take(self, project_id: str) -> Allowance | None:
        """Count a request; None where there is no limit, or nobody to count: then all are let in."""
        if self._limit is None:
            return None
        return self._ahead.take(project_id) or await self._counted(self._limit, project_id)

    async def _counted(self, limit: RateLimitItem, project_id: str) -> Allowance | None:
        """Where more than one is counted, one request asks for all that wait; none waits longer for it than for Redis."""
        if self._ahead.size(project_id) == 1:
            return await self._asked(limit, project_id)
        lock = self._asking.setdefault(project_id, asyncio.Lock())
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await lock.acquire()
        except TimeoutError:
            return await self._asked(limit, project_id)
        try:
            return self._ahead.take(project_id) or await self._asked(limit, project_id)
        finally:
            lock.release()

    async def _asked(self, limit: RateLimitItem, project_id: str) -> Allowance | None:
        if time.monotonic() < self._try_at:
            return None
        try:
            return await self._count(limit, project_id)
        except (RedisError, OSError) as error:
            self._try_at = time.monotonic() + AWAY_SECONDS
            log.warning("rates.uncounted", error=type(error).__name__)
            return None

    async def _count(self, limit: RateLimitItem, project_id: str) -> Allowance | None:
        """As many as are worth it; where the limit has no room for them, the one."""
        size = self._ahead.size(project_id)
        allowed = await self._limiter.hit(limit, project_id, cost=size)
        if not allowed and size > 1:
            size, allowed = 1, await self._limiter.hit(limit, project_id)
        reset_at, remaining = await self._limiter.get_window_stats(limit, project_id)
        allowance = Allowance(
            allowed=allowed,
            limit=limit.amount,
            window=limit.get_expiry(),
            remaining=max(0, remaining),
            reset=max(1, math.ceil(reset_at - time.time())),
        )
        if not allowed:
            self._ahead.forget(project_id)
            return allowance
        self._ahead.put(project_id, allowance, size=size)
        return self._ahead.take(project_id)

    async def close(self) -> None:
        """Give the connections back."""
        bridge = self._storage.bridge
        assert isinstance(bridge, RedispyBridge)
        await bridge.storage.aclose()
