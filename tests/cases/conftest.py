"""Readers say what differs, as tests do."""

import pytest

KINDS = ("community_ids", "connections", "damage", "dns", "half_open", "leaps", "readers")
pytest.register_assert_rewrite(*(f"{__package__}.{name}" for name in KINDS))
