"""After the run: verdicts and their evidence, sums, the trail, and the ledger as a file."""
