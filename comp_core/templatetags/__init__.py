"""Template tags of comp_core."""
