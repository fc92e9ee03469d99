"""What a model returns. Standard library only: models import this without Django."""
