"""The contestants, one program each: `python -m benchmarks.peers.NAME WS_URL REDIS_URL TOPIC...`.

Each keeps the last row of a ticker (and of a book's best quote) in a hash, trades in a stream of about 10,000, and
publishes every push as it came, unless its own docstring says otherwise. Keys and channels are those of `okex/bench/`.
"""
