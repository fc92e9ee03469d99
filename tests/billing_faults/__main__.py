"""``python -m tests.billing_faults [EXECUTIONS]``: the fault checker of sign-up and usage."""

from __future__ import annotations

import sys

from tests.faults.__main__ import main

if __name__ == "__main__":
    sys.exit(main("tests.billing_faults", executions=150))
