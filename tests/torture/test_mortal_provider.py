"""The oracle of the torture: all that the providers did until they were killed is known."""

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from command_line import wait_for
from mortal_provider import ENTRY_BYTES, MortalProvider

from batchcredit.sandbox import SandboxSettings

HEADERS = {"authorization": "Basic eDp5", "content-type": "application/json"}


def credit_until_it_dies(provider: MortalProvider, digit: int) -> list[str]:
    """The amounts that were answered; no other sender has the last digit of these."""
    connection = http.client.HTTPConnection(provider.address.host, provider.address.port, timeout=10)
    answered: list[str] = []
    while True:
        amount = f"{len(answered) + 1}.{digit}"
        transfer = f'{{"client_user_id":7,"balance":{amount},"currency":"USD"}}'
        try:
            connection.request("PUT", "/clicksend/v3/reseller/transfer-credit", transfer, HEADERS)
            assert json.loads(connection.getresponse().read())["response_code"] == "SUCCESS"
        except (OSError, http.client.HTTPException):
            connection.close()
            return answered
        answered.append(amount)


def one_life(provider: MortalProvider, digits: range) -> list[str]:
    """Killed while they answer several at once; the amounts that were answered."""
    least = provider.written + 500 * ENTRY_BYTES
    provider.start(SandboxSettings())
    wait_for(provider.answers)
    with ThreadPoolExecutor(len(digits)) as threads:
        senders = [threads.submit(credit_until_it_dies, provider, digit) for digit in digits]
        wait_for(lambda: provider.written > least, every_s=0.002)
        provider.kill()
        return [amount for sender in senders for amount in sender.result()]


def test_no_execution_is_forgotten(tmp_path: Path) -> None:
    """Whatever they said in two lives is in the journal, once, and little else."""
    with MortalProvider(tmp_path) as provider:
        answered = one_life(provider, range(1, 5)) + one_life(provider, range(5, 9))
        executed = [entry.amount for entry in provider.entries("executed")]
    assert len(answered) > 100
    assert len(executed) == len(set(executed))
    assert set(answered) <= set(executed)
    assert len(executed) <= len(answered) + 8  # of each sender one was under way


def test_it_is_gone_between_two_lives(tmp_path: Path) -> None:
    """Its port refuses whoever comes, and is still its own."""
    with MortalProvider(tmp_path) as provider:
        provider.start(SandboxSettings())
        wait_for(provider.answers)
        provider.kill()
        with pytest.raises(ConnectionRefusedError):
            provider.address.control().totals()
        provider.start(SandboxSettings())
        wait_for(provider.answers)
