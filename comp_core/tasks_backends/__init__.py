"""Backends of Django's tasks framework that carry tickets beyond the site's own database."""
