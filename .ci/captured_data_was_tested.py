"""Fails unless the tests on captured data (tests/real) ran: green without them would say too much."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree as ET


def main(report: Path) -> int:
    """Exit status: 0 if tests of tests/real passed and none was skipped."""
    cases = [case for case in ET.parse(report).iter("testcase") if "tests.real" in case.get("classname", "")]
    skipped = [case.get("name", "") for case in cases if case.find("skipped") is not None]
    if skipped or not cases:
        print(f"captured data: {len(cases)} tests found, skipped: {', '.join(skipped) or 'none'}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
