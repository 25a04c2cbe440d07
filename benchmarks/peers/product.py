"""This project as it is used: Celery workers, sessions opened and subscribed through the client.

`python -m benchmarks.peers.product SESSIONS WORKERS WS_URL REDIS_URL TOPIC...`; the sessions share the topics by
instruments. This process is the first worker. What is published, OKWS_PUBLISH and OKWS_DEFLATE say.
"""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sessions, workers, ws_url, redis_url, topics = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:5], sys.argv[5:]
os.environ |= {"OKWS_REDIS_URL": redis_url, "OKWS_WS_URL": ws_url, "OKWS_REST_URL": "http://127.0.0.1:9"}
# Load has no history; and what one worker can hold is to be spread over all of them.
os.environ |= {"OKWS_BACKFILL": "0", "OKWS_MAX_SESSIONS": str(-(-sessions // workers))}

import okws_celery  # noqa: E402  # the settings come first
from okws_celery.celery import app  # noqa: E402  # the settings come first

# Each waits for its first push; the worker keeps 16 threads for short tasks.
_AT_ONCE = 8


def arguments(number: int) -> list[str]:
    return ["worker", "-P", "threads", "-l", "error", "-n", f"bench{os.getpid()}-{number}@%h"]


def subscribe() -> None:
    instruments = sorted({topic.partition(":")[2] for topic in topics})

    def one(number: int) -> None:
        name = "bench" if sessions == 1 else f"bench{number}"
        own = set(instruments[number::sessions])
        mine = [topic for topic in topics if topic.partition(":")[2] in own]
        with okws_celery.client(timeout=60) as client:
            while client.open_ws(name)["errorCode"] not in (80000, 80001):
                time.sleep(0.2)
            for start in range(0, len(mine), 2_000):
                client.subscribe(name, mine[start : start + 2_000])

    with ThreadPoolExecutor(_AT_ONCE) as executor:
        list(executor.map(one, range(sessions)))


for number in range(1, workers):
    subprocess.Popen([sys.executable, "-m", "celery", "-A", "okws_celery", *arguments(number)])
threading.Thread(target=subscribe, daemon=True).start()
app.worker_main(arguments(0))
