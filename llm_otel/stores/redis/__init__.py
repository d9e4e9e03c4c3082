"""What a fleet shares in Redis, at `redis://` and `rediss://`: a ledger, and answers that were paid for."""

from llm_otel.stores.redis.shelf import RedisShelf
from llm_otel.stores.redis.store import RedisStore

__all__ = ["RedisShelf", "RedisStore"]
