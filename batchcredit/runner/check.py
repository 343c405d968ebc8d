"""check: all that run does before sending, moving nothing and writing nothing into the ledger."""

import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from decimal import Decimal

from batchcredit import host
from batchcredit.errors import RefusedError
from batchcredit.ledger import registry
from batchcredit.ledger.base import LaneRecord, LedgerReader
from batchcredit.providers.base import Balance
from batchcredit.reader import Survey, Total, Worksheet
from batchcredit.runner import guard, lanes, preflight
from batchcredit.runner.attendant import Attendant
from batchcredit.runner.batch import amounts, examined, ledger_url
from batchcredit.runner.comparison import Comparison, Needed
from batchcredit.runner.dispatch import lane_plan, ledger_note, rehearsed
from batchcredit.runner.enrolment import Target, default_name, identify, row_keys
from batchcredit.runner.options import InputOptions, SendOptions
from batchcredit.runner.plan import LedgerNote, Plan
from batchcredit.runner.summary import Speed, Summary
from batchcredit.settings import Profile, Settings
from batchcredit.writer import results_path
