"""What is known of a row in doubt: from balances, or from a provider's statement, to a verdict. No I/O."""
