-- Where several senders share a ledger, an answer can come when its row was moved on. A ledger in one file has one
-- sender, whose answers end with it: here the column stays empty, and the questions are the same.

ALTER TABLE transfer ADD COLUMN late_at INTEGER; -- when an attempt before the last one was confirmed
