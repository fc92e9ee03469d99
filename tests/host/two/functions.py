"""Says who it is."""

from comp_core.outputs import Table


def run(inputs):
    return [Table("two", ["number", "reviewer"], [[inputs.number, inputs.reviewer]])]
