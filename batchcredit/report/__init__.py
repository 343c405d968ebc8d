"""The report of one batch: the values it is drawn from, and the page."""
