"""Descriptive statistics of an uploaded table."""
