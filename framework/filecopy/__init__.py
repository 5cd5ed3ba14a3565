"""From one capture file to another in one process: no ring, no worker, no copy of a frame that stays as it is."""
