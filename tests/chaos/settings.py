"""What the environment says to the chaos run."""

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

HOURS = -3, 3  # by which the clock of one worker's host is off


@dataclass(frozen=True)
class Settings:
    """Duration, order, choice of faults, and loss of data."""

    minutes: float
    seed: str
    lose_data: bool
    faults: str  # words of their names, with commas in between; all where it is empty
    skew: float  # hours

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Read the settings; what is not given is chosen, by the seed where there is one."""
        seed = env.get("SEED") or str(random.SystemRandom().randrange(1_000_000))
        skew = float(env.get("SKEW") or random.Random(f"{seed} skew").choice(HOURS))
        return cls(
            minutes=float(env.get("MINUTES") or 10),
            seed=seed,
            lose_data=env.get("LOSSES", "") not in {"", "0"},
            faults=env.get("FAULTS", ""),
            skew=skew,
        )

    def rng(self, purpose: str) -> random.Random:
        """Return random numbers that no other purpose takes from."""
        return random.Random(f"{self.seed} {purpose}")
