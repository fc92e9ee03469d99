"""A package that cannot be imported."""

raise RuntimeError("crooked")
