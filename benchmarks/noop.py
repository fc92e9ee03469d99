"""A model that does nothing."""


def run(inputs):
    return []
