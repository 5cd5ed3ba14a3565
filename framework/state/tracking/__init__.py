"""Flows in compiled code: connections are tracked, the first bytes of their ends put in order."""
