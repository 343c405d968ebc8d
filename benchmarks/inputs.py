"""Batches of any size, and settings to send them with."""

from pathlib import Path

from batchcredit.sandbox import SandboxAddress


def write_batch(path: Path, rows: int) -> Path:
    """A batch of so many ClickSend rows, each for another client, with references."""
    with path.open("w") as file:
        file.write("provider,account,amount,currency,reference,client\n")
        for row in range(1, rows + 1):
            cents = 100 + row * 7919 % 90_000
            file.write(f"clicksend,{5_000_000 + row * 13}1,{cents / 100:.2f},USD,B-{row},Client {row}\n")
    return path


def write_settings(path: Path, address: SandboxAddress, concurrency: int, rate: str = "none") -> Path:
    """One profile, and a ledger of its own beside the file. No rate limit unless one is given: only this
    machine's own addresses may have none."""
    path.write_text(
        f'ledger = "sqlite:///{path.with_suffix(".db")}"\n'
        f'[providers.clicksend]\nkind = "clicksend"\nbase_url = "{address.clicksend_url}"\n'
        f'username = "bench"\nrate = "{rate}"\nconcurrency = {concurrency}\n'
    )
    return path
