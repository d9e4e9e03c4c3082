"""A ledger in Redis, shared by a fleet: `redis://` and `rediss://`."""

from llm_otel.stores.redis.store import RedisStore

__all__ = ["RedisStore"]
