"""The fault checker: seeded histories of the run engine with faults, judged by what it commits."""
