"""The process that writes an output: rings that workers fill, merged into streams, by accounts that outlive it."""
