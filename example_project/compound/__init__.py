"""Savings with compound interest: a private model, offered to staff only."""
