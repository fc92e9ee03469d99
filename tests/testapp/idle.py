"""A model's module that forgot to run, and objects in a way that nobody foresaw."""


def get_version():
    return "9" * 300


def validate(inputs):
    return {"__all__": 5}
