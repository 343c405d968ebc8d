"""What a file is to the ledger, and what stands against sending it."""
