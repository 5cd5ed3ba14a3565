"""The report of a run as one HTML page, which needs nothing from anywhere else."""

from .page import page

__all__ = ["page"]
