"""The peers: one script each, written as people write them. None of them knows anything of batchcredit."""
