"""FIFOs and their readers: how these come in, what each has taken, and where the records of a stream end."""
