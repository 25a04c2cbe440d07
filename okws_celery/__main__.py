"""`python -m okws_celery` is the command `okws`."""

from __future__ import annotations

import sys

from okws_celery.cli import main

if __name__ == "__main__":
    sys.exit(main())
