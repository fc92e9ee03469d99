"""What the run engine costs, measured beside what one would use instead: see README.md."""
