"""Output of a run that leaves zcframe: today one JSON document."""
