"""Makes the sample batches beside it, always the same ones: python samples/make_samples.py"""

import csv
import random
from decimal import Decimal
from pathlib import Path

import polars as pl

HERE = Path(__file__).resolve().parent
HEADER = ("provider", "account", "amount", "currency", "reference", "client_name")
NAMES = (
    "Café Río",
    "Müller & Söhne",
    "Okonkwo, Bright and Partners",
    'The "Blue Door" Clinic',
    "Nairobi Schools Trust",
    "Ødegård Transport",
    "Wanjiku Boutique",
    "Harbour View, Ltd",
)
#: What the sandbox refuses: unknown and banned clients of the one, unknown and closed ones of the other.
REFUSED = {37: "1030404", 101: "1090403", 158: "unknown_shop", 207: "closed_salon", 263: "1150404"}


def month_end() -> list[tuple[str, ...]]:
    """320 transfers of two providers, five of which the sandbox refuses."""
    dice = random.Random(20250131)
    return [_transfer(number, dice) for number in range(320)]


def _transfer(number: int, dice: random.Random) -> tuple[str, ...]:
    refused = REFUSED.get(number, "")
    amount = Decimal(dice.randrange(500, 25000)) / 100
    name = f"{NAMES[number % len(NAMES)]} {number // len(NAMES) + 1}"
    reference = f"2025-01/{number + 1:04}"
    if refused[:1].isdigit() or (not refused and number % 5 < 3):
        account = refused or str(1000000 + number * 37 + 1)
        return "clicksend", account, f"{amount:.2f}", "USD", reference, name
    account = refused or f"client_{number:03}"
    return "fastmessage", account, f"{amount * 20:.2f}", "KES", reference, name


def small() -> pl.DataFrame:
    """60 transfers with decimal amounts and no references."""
    dice = random.Random(20250228)
    rows = [("clicksend", str(2000000 + n * 53), dice.randrange(100, 9000), "AUD") for n in range(1, 41)]
    rows += [("fastmessage", f"shop_{n:02}", dice.randrange(5000, 90000), "KES") for n in range(1, 21)]
    frame = pl.DataFrame(rows, schema=["provider", "account", "cents", "currency"], orient="row")
    amount = (pl.col("cents").cast(pl.Decimal(14, 2)) / 100).cast(pl.Decimal(14, 2))
    return frame.select("provider", "account", amount.alias("amount"), "currency")


#: What spreadsheet programs and hasty hands do to a batch, one accident in each row that has one.
ACCIDENTS = (
    ("clicksend", "3000001", "25.00", "USD", "A-01", "nothing wrong here"),
    ("clicksend", "3.00E+06", "25.00", "USD", "A-02", "account in scientific notation"),
    ("clicksend", "3000003", "1,234.50", "USD", "A-03", "separator between thousands"),
    ("clicksend", "3000004", "1.234,50", "USD", "A-04", "decimal comma"),
    ("clicksend", "3000005", "1.2E+05", "USD", "A-05", "amount in scientific notation"),
    ("clicksend", " 3000006", "25.00", "USD", "A-06", "space before the account"),
    ("clicksend", "3000007", "25.00 ", "USD", "A-07", "space behind the amount"),
    ("clicksend", "3000008", "25.00", "", "A-08", "no currency"),
    ("clicksend", "3000009", "0", "USD", "A-09", "zero"),
    ("clicksend", "3000010", "-25.00", "USD", "A-10", "negative"),
    ("clicksend", "3000011", "12.100000000000001", "USD", "A-11", "noise of binary floating point"),
    ("fastmessage", "shop_12", "99.999", "KES", "A-12", "too many decimals"),
    ("clicksend", "#N/A", "25.00", "USD", "A-13", "a lookup that found nothing"),
    ("clicksend", "3000014", "#REF!", "USD", "A-14", "a formula that lost its cell"),
    ("clicksnd", "3000015", "25.00", "USD", "A-15", "a provider that is not configured"),
    ("fastmessage", "shop_16", "100.00", "USD", "A-16", "a currency the provider does not take"),
    ("clicksend", "3000017", "$25.00", "USD", "A-17", "a currency sign"),
    ("clicksend", "3000018", "25.00", "usd", "A-18", "currency in small letters"),
    ("clicksend", "0003000019", "25.00", "USD", "A-19", "zeros before the account"),
    ("", "", "", "", "", ""),
    ("fastmessage", "shop_21", "150.00", "KES", "", "asked for once"),
    ("fastmessage", "Shop_21", "150.0", "KES", "", "and once more: the same account, the same amount"),
    ("fastmessage", "shop_23", "75.00", "", "A-23", "nothing wrong here: KES is meant"),
)


def main() -> None:
    """Writes the files."""
    for name, rows in (("month_end.csv", month_end()), ("accidents.csv", ACCIDENTS)):
        with (HERE / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(HEADER)
            writer.writerows(rows)
    small().write_parquet(HERE / "month_end.parquet", statistics=False)


if __name__ == "__main__":
    main()
