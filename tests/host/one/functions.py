"""Says who it is."""

from comp_core.outputs import Table


def run(inputs):
    return [Table("one", ["number", "reviewer"], [[inputs.number, inputs.reviewer]])]
