"""New connections to one host of the exchange, paced over all workers: OKX takes 3 a second from an IP (PROTOCOL 2)."""

from __future__ import annotations

from okws_celery.store.registry import Registry

__all__ = ["connect_delay_s"]

_BURST = 3
_INTERVAL_MS = 340
# The generic cell rate algorithm on Redis' own clock: the key holds when the next slot is theoretically free, in ms.
_SCRIPT = (
    "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) "
    "local slot = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now - ARGV[1] * (ARGV[2] - 1)) "
    "redis.call('SET', KEYS[1], slot + ARGV[1], 'PX', 60000) return math.max(0, slot - now)"
)


def connect_delay_s(registry: Registry, host: str) -> float:
    """How long to wait before the next connection to `host`, s; the slot is taken. Redis' errors go to the caller."""
    delay_ms = registry.redis.eval(_SCRIPT, 1, registry.shared.connects(host), _INTERVAL_MS, _BURST)
    return float(delay_ms) / 1000
