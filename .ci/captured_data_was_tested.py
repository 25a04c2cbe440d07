"""Fails unless the tests on captured data ran, all of them: green without them would say too much."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree as ET


def main(report: Path) -> int:
    """Exit status: 0 if tests of tests/real ran, and none of them nor any for want of the captures was skipped."""
    real, skipped = 0, []
    for case in ET.parse(report).iter("testcase"):
        is_real = "tests.real" in case.get("classname", "")
        skip = case.find("skipped")
        real += is_real
        if skip is not None and (is_real or "OKWS_CAPTURES" in skip.get("message", "")):
            skipped.append(f"{case.get('classname')}.{case.get('name')}")
    if skipped or not real:
        print(f"captured data: {real} tests in tests/real, skipped: {', '.join(skipped) or 'none'}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
