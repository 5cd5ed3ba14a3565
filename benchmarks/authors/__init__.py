"""What authors of plugins meet: the worked examples, and lists to look things up in."""
