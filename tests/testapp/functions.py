"""The doubling model."""

from comp_core.outputs import Table


def get_version():
    return "1.0.0"


def validate(inputs):
    return {"number": ["Thirteen brings bad luck."]} if inputs.number == 13 else {}


def run(inputs):
    return [Table("Result", ["number", "doubled"], [[inputs.number, inputs.number * 2]])]
