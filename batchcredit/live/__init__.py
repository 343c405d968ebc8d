"""The report of a batch while it is sent, for a browser on this machine."""
