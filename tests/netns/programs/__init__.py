"""Programs that tests start in a network namespace: python -m tests.netns.programs.NAME."""
