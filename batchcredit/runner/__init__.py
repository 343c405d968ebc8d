"""One batch from file to results: the only place that joins the parts."""
