"""The tasks of the worked examples, as other tools do them."""
