"""`zcframe plugin check`: what is found out about a plugin by running it, a check a function."""

from .subject import FAILED, Finding, Subject
from .suite import CHECKS, findings

__all__ = ["CHECKS", "FAILED", "Finding", "Subject", "findings"]
