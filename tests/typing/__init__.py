"""What the type checker has to accept of a host's code, and what it has to refuse."""
