"""The five worked examples of docs/plugins.md, each against what tshark finds in the same packets."""
