"""What OKX limits by IP address, paced over all workers: connections (PROTOCOL 2), REST requests (PROTOCOL 8)."""

from __future__ import annotations

from okws_celery.store.registry import Registry

__all__ = ["connect_delay_s", "rest_delay_s"]

_BURST = 3
_INTERVAL_MS = 340
_ANY_MS = 1 << 40
# The generic cell rate algorithm on Redis' own clock: the key holds when the next slot is theoretically free, in ms.
_SCRIPT = (
    "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) "
    "local slot = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now - ARGV[1] * (ARGV[2] - 1)) "
    "local delay = math.max(0, slot - now) if delay <= tonumber(ARGV[3]) then "
    "redis.call('SET', KEYS[1], slot + ARGV[1], 'PX', 60000) end return delay"
)


def connect_delay_s(registry: Registry, host: str) -> float:
    """How long to wait before the next connection to `host`, s; the slot is taken. Redis' errors go to the caller."""
    return _delay_s(registry, registry.shared.connects(host), _INTERVAL_MS, _BURST, _ANY_MS)


def rest_delay_s(registry: Registry, host: str, path: str, a_second: float, at_most_s: float) -> float:
    """How long to wait before the next request of one REST endpoint that takes `a_second`, s.

    The slot is taken, unless it is further away than `at_most_s`: those who give up must not keep others waiting.
    """
    key = registry.shared.requests(host, path)
    return _delay_s(registry, key, round(1000 / a_second), max(1, int(a_second)), round(at_most_s * 1000))


def _delay_s(registry: Registry, key: str, interval_ms: int, burst: int, at_most_ms: int) -> float:
    return float(registry.redis.eval(_SCRIPT, 1, key, interval_ms, burst, at_most_ms)) / 1000
