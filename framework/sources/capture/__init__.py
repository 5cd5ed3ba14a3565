"""Capture files as Ethernet frames: pcap and pcapng, of any size, also compressed or through a pipe."""

from .reader import CaptureReader, batches, frames

__all__ = ["CaptureReader", "batches", "frames"]
