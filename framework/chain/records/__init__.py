"""What plugins emit: from a call in compiled code to a record in the rings of `--rows`."""
