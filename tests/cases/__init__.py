"""Cases after public bug reports of capture tools: each is a kind of failure that users met, tried on zcframe.

Inputs are built here, with addresses of the documentation ranges (RFC 5737, RFC 3849). A `Case` (case.py) says which
reports it is after, what its files hold, what must come of them, and who says so: an RFC, or a reader that we did not
write. A case without reports is a sibling: another member of the same kind of failure. Cases of a kind share one start of
the command (test_files.py), so each case has hosts of its own. To add one, append it to a kind's tuple; a kind is a module.

Cases of live capture, of terminals and of settings are tests beside what they need; `elsewhere.py` lists them.
"""
