"""The program, with less patience for a ledger that is silent or away: seconds instead of minutes."""

from batchcredit.__main__ import main
from batchcredit.ledger.postgres import database, sender

database.CONNECT_MOST_S = 1
sender.ANSWER_MOST_S = 1.0
sender.HURRIED_MOST_S = 2.0

if __name__ == "__main__":
    main()
