"""Recorder of the bundled trace: real programs between two network namespaces."""
