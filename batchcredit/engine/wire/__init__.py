"""All HTTP: one promise, and two ways to keep it.

`direct` is our own and carries transfers; `stock` is httpx, for those who need a proxy or prefer it.
"""
