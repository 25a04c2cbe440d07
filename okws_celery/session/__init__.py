"""What `open_ws` runs: one session with its links to the exchange, in one thread, until it is closed."""

from okws_celery.session.session import Ending, Plan, Session

__all__ = ["Ending", "Plan", "Session"]
