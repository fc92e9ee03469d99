"""The course of an epidemic after Kermack and McKendrick."""
