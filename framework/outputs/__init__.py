"""Outputs: what leaves zcframe, for other programs: the JSON document, and frames.

An output of frames (output.py) is of a kind (kinds/, or another package's); its process (writer/) takes what workers
hand on. The document is made by an Observer (framework/stats/observer.py): it gets the plan, a snapshot a tick and the
result, in the supervisor's own thread, and must not block. Nothing here takes from framework/show, which writes for
people; the command that wants both puts them side by side (framework/cli/run.py).
"""
