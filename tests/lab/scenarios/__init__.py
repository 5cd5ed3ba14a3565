"""One file a scenario: `TITLE`, and `run(bench)`, which returns its figures in a line or raises LabError."""
