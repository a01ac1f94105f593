"""Requests of each project, counted in Redis, so that all API processes agree."""

import math
import time

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.storage.redis.redispy import RedispyBridge
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError

from app.domain.allowance import Allowance

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
        self._try_at = -math.inf

    @property
    def is_counting(self) -> bool:
        """False where there is no limit."""
        return self._limit is not None

    async def take(self, project_id: str) -> Allowance | None:
        """Count a request; None where there is no limit, or nobody to count: then all are let in."""
        if self._limit is None or time.monotonic() < self._try_at:
            return None
        try:
            allowed = await self._limiter.hit(self._limit, project_id)
            reset_at, remaining = await self._limiter.get_window_stats(self._limit, project_id)
        except (RedisError, OSError) as error:
            self._try_at = time.monotonic() + AWAY_SECONDS
            log.warning("rates.uncounted", error=type(error).__name__)
            return None
        return Allowance(
            allowed=allowed,
            limit=self._limit.amount,
            window=self._limit.get_expiry(),
            remaining=max(0, remaining),
            reset=max(1, math.ceil(reset_at - time.time())),
        )

    async def close(self) -> None:
        """Give the connections back."""
        bridge = self._storage.bridge
        assert isinstance(bridge, RedispyBridge)
        await bridge.storage.aclose()
