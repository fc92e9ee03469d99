"""Inputs and runs: a computational model becomes a web application."""

__version__ = "0.1.0"
