"""Where frames come from. Each source fills descriptor rings of one layout; a plan says which one, and how.

Nothing is imported here: the doctor reads the table of sources, and must not wait for compiled code.
"""
