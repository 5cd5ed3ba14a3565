"""Outputs: what leaves zcframe, for other programs. Today one JSON document.

An output is an Observer (framework/stats/observer.py): it gets the plan, a snapshot a tick and the result, in the
supervisor's own thread, and must not block. It takes nothing from framework/show, which writes for people; the command
that wants both puts them side by side (framework/cli/run.py).
"""
