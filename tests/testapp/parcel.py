"""Says what it was given, in the model's own process."""

import os
from pathlib import Path

from comp_core.outputs import Table


def get_version():
    return "first line\nsecond line"


def run(inputs):
    rows = [[name, type(value).__name__, str(value)] for name, value in vars(inputs).items()]
    if inputs.document:
        path = Path(inputs.document)
        rows += [["name", "", path.name], ["content", "", path.read_text()]]
    rows.append(["working directory", "", str(sorted(os.listdir()))])
    rows.append(["secrets", "", str([name for name in os.environ if "SECRET" in name])])
    return Table("Parcel", ["name", "type", "value"], rows)
