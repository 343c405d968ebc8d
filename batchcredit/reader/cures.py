"""The cure of a problem for one row: the general one, or what its own provider takes."""

from collections.abc import Mapping
from difflib import get_close_matches

from batchcredit.reader.problems import PROBLEMS
from batchcredit.reader.rules import ProfileRules


def cure_of(problem: str, provider: str, profiles: Mapping[str, ProfileRules]) -> str:
    """What the person who mends the file should do; `provider` is the row's cell."""
    cure = PROBLEMS[problem].cure
    if problem == "unknown_provider":
        return _known_providers(provider, profiles)
    profile = profiles.get(provider)
    if profile is None:
        return cure
    if problem == "account_form":
        return profile.rules.account_cure or cure
    if problem == "amount_decimals":
        return f"{provider} takes {profile.rules.decimals} decimals. {cure}"
    if problem == "currency_not_taken" and profile.rules.currencies:
        return f"{provider} takes {', '.join(sorted(profile.rules.currencies))}. {cure}"
    return cure


def _known_providers(provider: str, profiles: Mapping[str, ProfileRules]) -> str:
    near = get_close_matches(provider.strip().lower()[:128], profiles, n=1)
    meant = f"Did you mean {near[0]}? " if near else ""
    return f"{meant}Configured: {', '.join(sorted(profiles)) or 'none'}."
