"""Changes to an interface: recorded before they are made, and put back at the end."""
