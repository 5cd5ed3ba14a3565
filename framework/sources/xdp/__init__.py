"""AF_XDP: sockets that a program of ours in the driver feeds, on mainline Linux. It takes traffic from the stack."""
