"""A batch in front of the providers: lanes, preflight, question, and the rows on their way."""
