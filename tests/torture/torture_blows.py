"""What can be done to a command that sends, and to the providers it sends to."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from signal import SIGCONT, SIGINT, SIGSTOP, SIGTERM

from command_line import Running
from mortal_provider import MortalProvider

#: A command that was asked to stop has to end within this time.
ENDS_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Victims:
    """`provider_again` begins another life of the providers."""

    running: Running
    provider: MortalProvider
    provider_again: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Blow:
    """How often it falls beside the others, how long it lasts at the most, and whether requests that were
    under way may be in doubt after it without a kill."""

    name: str
    strike: Callable[[Victims, float], None]
    weight: int
    lasts_most_s: float = 0.0
    unsettles: bool = False


def _kill(victims: Victims, lasts_s: float) -> None:
    victims.running.kill()


def _terminate(victims: Victims, lasts_s: float) -> None:
    victims.running.signal(SIGTERM)
    victims.running.end(ENDS_WITHIN_S)


def _interrupt(victims: Victims, lasts_s: float) -> None:
    victims.running.signal(SIGINT)
    victims.running.end(ENDS_WITHIN_S)


def _terminate_twice(victims: Victims, lasts_s: float) -> None:
    victims.running.signal(SIGTERM)
    time.sleep(lasts_s)
    victims.running.signal(SIGTERM)
    victims.running.end(ENDS_WITHIN_S)


def _freeze(victims: Victims, lasts_s: float) -> None:
    victims.running.signal(SIGSTOP)
    time.sleep(lasts_s)
    victims.running.signal(SIGCONT)


def _freeze_and_kill(victims: Victims, lasts_s: float) -> None:
    victims.running.signal(SIGSTOP)
    time.sleep(lasts_s)
    victims.running.kill()


def _kill_provider(victims: Victims, lasts_s: float) -> None:
    victims.provider.kill()
    time.sleep(lasts_s)
    victims.provider_again()


def _freeze_provider(victims: Victims, lasts_s: float) -> None:
    victims.provider.freeze()
    time.sleep(lasts_s)
    victims.provider.thaw()


def _freeze_provider_and_kill(victims: Victims, lasts_s: float) -> None:
    """What was sent is executed when whoever sent it is dead."""
    victims.provider.freeze()
    time.sleep(lasts_s)
    victims.running.kill()
    victims.provider.thaw()


BLOWS = (
    Blow("kill", _kill, 8),
    Blow("term", _terminate, 2),
    Blow("int", _interrupt, 2),
    Blow("term twice", _terminate_twice, 2, lasts_most_s=0.1, unsettles=True),
    Blow("freeze", _freeze, 3, lasts_most_s=4.0, unsettles=True),
    Blow("freeze, kill", _freeze_and_kill, 1, lasts_most_s=4.0),
    Blow("kill the providers", _kill_provider, 3, lasts_most_s=2.0, unsettles=True),
    Blow("freeze the providers", _freeze_provider, 2, lasts_most_s=4.0, unsettles=True),
    Blow("freeze the providers, kill", _freeze_provider_and_kill, 2, lasts_most_s=1.0),
)
