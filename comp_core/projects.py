"""Keeps a Project row for every declared model."""

from __future__ import annotations

from comp_core.declaration import ModelSpec
from comp_core.registry import registered
from comp_users.models import Project


def project_for(spec: ModelSpec, *, using: str = "default") -> Project:
    """The model's row, created from its declaration when missing. Later the row rules."""
    project, _ = Project.objects.using(using).get_or_create(
        slug=spec.slug,
        defaults={
            "name": spec.title,
            "overview": spec.overview,
            "description": spec.description,
            "repository_url": spec.repository_url,
            "is_public": spec.is_public,
            "server_cost": spec.server_cost,
            "exp_task_time": spec.exp_task_time,
        },
    )
    return project


def ensure_projects(*, using: str = "default") -> list[Project]:
    """A row for each declared model; called after every migrate."""
    return [project_for(spec, using=using) for spec in registered().values()]
