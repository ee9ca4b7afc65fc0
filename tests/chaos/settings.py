"""Settings of a chaos run, from the environment."""

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

SKEWS = -3, 3  # hours; default clock errors of one worker's host


@dataclass(frozen=True)
class Settings:
    """Duration, seed, faults, and clock error."""

    minutes: float
    seed: str
    lose_data: bool
    faults: str  # comma-separated parts of fault names; empty: all faults
    skew: float  # hours

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Read the settings; the seed is random, and the skew follows from the seed, if they are not set."""
        seed = env.get("SEED") or str(random.SystemRandom().randrange(1_000_000))
        skew = float(env.get("SKEW") or random.Random(f"{seed} skew").choice(SKEWS))
        return cls(
            minutes=float(env.get("MINUTES") or 10),
            seed=seed,
            lose_data=env.get("LOSSES", "") not in {"", "0"},
            faults=env.get("FAULTS", ""),
            skew=skew,
        )

    def rng(self, purpose: str) -> random.Random:
        """Return a random number generator of its own for each purpose."""
        return random.Random(f"{self.seed} {purpose}")
