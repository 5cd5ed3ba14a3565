"""Ways out for the records that plugins emit: `--rows FORMAT:FILE`, each format found by an entry point."""
