"""Strings that people, programs and attackers might give as a cron expression."""

import random
from collections.abc import Callable

FIELDS = [(0, 59, ""), (0, 23, ""), (1, 31, ""), (1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"),
          (0, 7, "sun mon tue wed thu fri sat")]  # fmt: skip
ALIASES = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"]
BLANKS = [
    " ", "  ", "\t", " \t ", "\n", "\r", "\x0b", "\x0c", "\u00a0", "\u2003", "\u200b", "\u3000", "\u0085", "\ufeff",
]  # fmt: skip
LOOK_ALIKES = [
    "\u00b9", "\u0663", "\uff15", "\u0967", "\u2165", "\u0131", "\u0130", "\u017f", "\u212a", "\u0430", "\u0455",
    "\uff0a", "\u2217", "\u2013", "\uff0c", "\u2044", "e\u0301", "\U0001d7d3",
]  # fmt: skip
STRANGE = [
    "?", "l", "L", "w", "15w", "h", "H", "r", "R", "h(1-5)", "r(0-9)", "1#2", "fri#1", "l1", "*/*", "%", "~", "!", "-",
    "/", ",", "*", "**", "@", "+1", "-1", "1.5", "1e1", "0x1", "1_0", "''", '"1"', "\\", "$", ";", "00", "000", "07",
    "monday", "january", "@reboot", "@every", "@every 5m", "@ daily", "@Daily", "2030", "*-5",
]  # fmt: skip


def a_string(chance: random.Random) -> str:
    """Return a string, valid one time in three or so."""
    makers: list[Callable[[random.Random], str]]
    makers = [valid, valid, nearly, nearly, mutated, mutated, blank, counted, strange]
    text = chance.choice(makers)(chance)
    return chance.choice([text, text, text.upper(), text.title(), f" {text}\t"])


def valid(chance: random.Random) -> str:
    """Return an expression whose fields are in order; its days may still never come."""
    if chance.random() < 0.05:
        return chance.choice(ALIASES)
    return " ".join(field(chance, place, wild=0.0) for place in range(5))


def nearly(chance: random.Random) -> str:
    """Return five fields whose values, ranges and steps are now and then out of order."""
    return " ".join(field(chance, place, wild=0.15) for place in range(5))


def mutated(chance: random.Random) -> str:
    """Return a valid one in which a few characters were replaced, added, doubled or taken away."""
    text = list(valid(chance))
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(text)) if text else 0
        letter = chance.choice("0123456789*/,-? abcdlrwh#@ABZ" if chance.random() < 0.7 else LOOK_ALIKES + BLANKS)
        text[place : place + chance.choice([0, 1, 1, 2])] = [letter] * chance.choice([0, 1, 1, 2])
    return "".join(text)


def blank(chance: random.Random) -> str:
    """Return a valid one with blanks of all kinds between its fields and around them."""
    usual, words = chance.choice([BLANKS[:4], BLANKS[:4], BLANKS]), valid(chance).split(" ")
    return chance.choice(["", *usual]) + "".join(word + chance.choice(usual) for word in words)


def counted(chance: random.Random) -> str:
    """Return too many or too few fields, long lists, or very long numbers."""
    kind = chance.randrange(5)
    if kind == 0:
        return " ".join(field(chance, place % 5, wild=0.0) for place in range(chance.choice([0, 1, 2, 4, 6, 7, 50])))
    words = [field(chance, place, wild=0.0) for place in range(5)]
    place = chance.randrange(5)
    if kind == 1:
        words[place] = chance.choice("0123456789") * chance.choice([3, 4, 20, 500, 4000])
    elif kind == 2:
        words[place] += "/" + chance.choice("0123456789") * chance.choice([1, 2, 3, 4000])
    else:
        # Up to and beyond 512 bytes.
        words[place] = ",".join(item(chance, place, wild=0.0) for _ in range(chance.choice([50, 150, 160, 170, 250])))
        if kind == 3:
            words[place] = words[place][: max(1, 513 - len(" ".join(words)) + len(words[place]))].rstrip(",-/")
    return " ".join(words)


def strange(chance: random.Random) -> str:
    """Return one with a word of other dialects, or with no sense at all."""
    words = valid(chance).split(" ")
    words[chance.randrange(len(words))] = chance.choice(STRANGE + LOOK_ALIKES)
    return chance.choice([" ".join(words), " ".join(words), chance.choice([*STRANGE, *LOOK_ALIKES, *BLANKS, ""])])


def field(chance: random.Random, place: int, wild: float) -> str:
    """Return a field; wild is how likely each of its parts is out of order."""
    high = FIELDS[place][1]
    kind = chance.random()
    if kind < 0.3:
        return "*"
    if kind < 0.45:
        return f"*/{chance.randint(0, 99) if chance.random() < wild else chance.randint(1, high)}"
    items = [item(chance, place, wild) for _ in range(chance.choice([1, 1, 1, 2, 3, 6]))]
    if chance.random() < wild / 2:
        items.append(chance.choice(["*", "", "*/2"]))
    return ",".join(items)


def item(chance: random.Random, place: int, wild: float) -> str:
    """Return a value or a range."""
    low, high, _ = FIELDS[place]
    first, last = sorted(chance.sample(range(low, high + 1), 2))
    if chance.random() < wild:
        first, last = chance.randint(0, 99), chance.randint(0, 99)
    kind = chance.random()
    if kind < 0.5:
        text = word(chance, place, first)
    elif kind < 0.8 or (kind < 0.95 and not wild):
        text = f"{word(chance, place, first)}-{word(chance, place, last)}"
    elif kind < 0.95:
        text = f"{word(chance, place, first)}/{chance.randint(0, high)}"
    else:
        text = f"{word(chance, place, first)}-{word(chance, place, last)}/{chance.randint(int(not wild), high)}"
    return text


def word(chance: random.Random, place: int, value: int) -> str:
    """Return a value as a number, with a leading zero now and then, or as a name."""
    low, _, names = FIELDS[place]
    if names and chance.random() < 0.3 and 0 <= value - low < len(names.split()):
        return names.split()[value - low]
    return f"{value:02}" if chance.random() < 0.1 else str(value)
