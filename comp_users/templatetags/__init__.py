"""Template tags of comp_users."""
