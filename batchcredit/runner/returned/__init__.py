"""Files of ours that come back: what they pick, correct, or bring from another ledger."""
