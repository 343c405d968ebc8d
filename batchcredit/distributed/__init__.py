"""Senders on many machines: Ray places and watches them, the shared ledger is the truth.

Ray repeats and restarts nothing of its own. What it loses is in doubt by the ledger's word, as after any
death.
"""
