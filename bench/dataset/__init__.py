"""The data that is measured on: deterministic, made by PostgreSQL itself, kept for the next run."""

from bench.dataset.building import ensure_dataset

__all__ = ["ensure_dataset"]
