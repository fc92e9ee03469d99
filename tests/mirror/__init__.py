"""The mirror under random histories of an account, however badly they are told."""
