"""The peer of check: a bare scan and write of the same file by polars, which looks at nothing.

python -m benchmarks.peer_polars BATCH OUT
"""

import sys

import polars as pl

if __name__ == "__main__":
    pl.scan_csv(sys.argv[1], infer_schema=False).sink_csv(sys.argv[2])
