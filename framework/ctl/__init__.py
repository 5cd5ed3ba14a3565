"""The control socket of a run: one line with an order, one line of JSON as the answer. docs/ctl.md tells both."""
