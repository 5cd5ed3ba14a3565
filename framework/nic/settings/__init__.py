"""Changes to an interface: each is recorded before it is made, and undone at the end."""
