"""People and projects: who may run what, and on whose account."""
