"""What batchcredit takes in time and memory, each figure beside a peer measured in the same run."""
