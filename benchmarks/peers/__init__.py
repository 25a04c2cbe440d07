"""The contestants, one program each: `python -m benchmarks.peers.NAME WS_URL REDIS_URL TOPIC...`.

Each keeps the last row of a ticker in a hash, trades in a stream of about 10,000, candles in a sorted set and a merged
book in a hash, as this project does, and publishes every push as it came, unless its own docstring says otherwise.
"""
