"""Generator of random cron expressions, valid and invalid, as users, programs and attackers might send them."""

import random
from collections.abc import Callable

FIELDS = [(0, 59, ""), (0, 23, ""), (1, 31, ""), (1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"),
          (0, 7, "sun mon tue wed thu fri sat")]  # fmt: skip
ALIASES = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"]
BLANKS = [
    " ", "  ", "\t", " \t ", "\n", "\r", "\x0b", "\x0c", "\u00a0", "\u2003", "\u200b", "\u3000", "\u0085", "\ufeff",
]  # fmt: skip
HOMOGLYPHS = [
    "\u00b9", "\u0663", "\uff15", "\u0967", "\u2165", "\u0131", "\u0130", "\u017f", "\u212a", "\u0430", "\u0455",
    "\uff0a", "\u2217", "\u2013", "\uff0c", "\u2044", "e\u0301", "\U0001d7d3",
]  # fmt: skip
UNSUPPORTED = [
    "?", "l", "L", "w", "15w", "h", "H", "r", "R", "h(1-5)", "r(0-9)", "1#2", "fri#1", "l1", "*/*", "%", "~", "!", "-",
    "/", ",", "*", "**", "@", "+1", "-1", "1.5", "1e1", "0x1", "1_0", "''", '"1"', "\\", "$", ";", "00", "000", "07",
    "monday", "january", "@reboot", "@every", "@every 5m", "@ daily", "@Daily", "2030", "*-5",
]  # fmt: skip


def random_string(rng: random.Random) -> str:
    """Return a random string; about one in three is a valid expression."""
    makers: list[Callable[[random.Random], str]]
    makers = [
        valid_expression,
        valid_expression,
        nearly_valid,
        nearly_valid,
        mutated,
        mutated,
        with_odd_blanks,
        with_wrong_sizes,
        with_unsupported_text,
    ]
    text = rng.choice(makers)(rng)
    return rng.choice([text, text, text.upper(), text.title(), f" {text}\t"])


def valid_expression(rng: random.Random) -> str:
    """Return an expression with valid fields; its days may still not exist, such as 31 February."""
    if rng.random() < 0.05:
        return rng.choice(ALIASES)
    return " ".join(random_field(rng, index, invalid_rate=0.0) for index in range(5))


def nearly_valid(rng: random.Random) -> str:
    """Return five fields with an occasional invalid value, range or step."""
    return " ".join(random_field(rng, index, invalid_rate=0.15) for index in range(5))


def mutated(rng: random.Random) -> str:
    """Return a valid expression with a few characters replaced, added, doubled or removed."""
    text = list(valid_expression(rng))
    for _ in range(rng.randint(1, 3)):
        index = rng.randrange(len(text)) if text else 0
        letter = rng.choice("0123456789*/,-? abcdlrwh#@ABZ" if rng.random() < 0.7 else HOMOGLYPHS + BLANKS)
        text[index : index + rng.choice([0, 1, 1, 2])] = [letter] * rng.choice([0, 1, 1, 2])
    return "".join(text)


def with_odd_blanks(rng: random.Random) -> str:
    """Return a valid expression with blanks of all choices between the fields and around them."""
    blanks, fields = rng.choice([BLANKS[:4], BLANKS[:4], BLANKS]), valid_expression(rng).split(" ")
    return rng.choice(["", *blanks]) + "".join(field + rng.choice(blanks) for field in fields)


def with_wrong_sizes(rng: random.Random) -> str:
    """Return too many or too few fields, long lists, or very long numbers."""
    choice = rng.randrange(5)
    if choice == 0:
        return " ".join(
            random_field(rng, index % 5, invalid_rate=0.0) for index in range(rng.choice([0, 1, 2, 4, 6, 7, 50]))
        )
    fields = [random_field(rng, index, invalid_rate=0.0) for index in range(5)]
    index = rng.randrange(5)
    if choice == 1:
        fields[index] = rng.choice("0123456789") * rng.choice([3, 4, 20, 500, 4000])
    elif choice == 2:
        fields[index] += "/" + rng.choice("0123456789") * rng.choice([1, 2, 3, 4000])
    else:
        # Around the limit of 512 bytes.
        fields[index] = ",".join(
            random_item(rng, index, invalid_rate=0.0) for _ in range(rng.choice([50, 150, 160, 170, 250]))
        )
        if choice == 3:
            fields[index] = fields[index][: max(1, 513 - len(" ".join(fields)) + len(fields[index]))].rstrip(",-/")
    return " ".join(fields)


def with_unsupported_text(rng: random.Random) -> str:
    """Return an expression with a token of another dialect, or an arbitrary token."""
    fields = valid_expression(rng).split(" ")
    fields[rng.randrange(len(fields))] = rng.choice(UNSUPPORTED + HOMOGLYPHS)
    return rng.choice([" ".join(fields), " ".join(fields), rng.choice([*UNSUPPORTED, *HOMOGLYPHS, *BLANKS, ""])])


def random_field(rng: random.Random, index: int, invalid_rate: float) -> str:
    """Return a field; invalid_rate is the probability that a part of it is invalid."""
    high = FIELDS[index][1]
    choice = rng.random()
    if choice < 0.3:
        return "*"
    if choice < 0.45:
        return f"*/{rng.randint(0, 99) if rng.random() < invalid_rate else rng.randint(1, high)}"
    items = [random_item(rng, index, invalid_rate) for _ in range(rng.choice([1, 1, 1, 2, 3, 6]))]
    if rng.random() < invalid_rate / 2:
        items.append(rng.choice(["*", "", "*/2"]))
    return ",".join(items)


def random_item(rng: random.Random, index: int, invalid_rate: float) -> str:
    """Return a value or a range."""
    low, high, _ = FIELDS[index]
    first, last = sorted(rng.sample(range(low, high + 1), 2))
    if rng.random() < invalid_rate:
        first, last = rng.randint(0, 99), rng.randint(0, 99)
    choice = rng.random()
    if choice < 0.5:
        text = random_value(rng, index, first)
    elif choice < 0.8 or (choice < 0.95 and not invalid_rate):
        text = f"{random_value(rng, index, first)}-{random_value(rng, index, last)}"
    elif choice < 0.95:
        text = f"{random_value(rng, index, first)}/{rng.randint(0, high)}"
    else:
        text = f"{random_value(rng, index, first)}-{random_value(rng, index, last)}"
        text += f"/{rng.randint(int(not invalid_rate), high)}"
    return text


def random_value(rng: random.Random, index: int, value: int) -> str:
    """Return a value as a number, sometimes with a leading zero, or as a name."""
    low, _, names = FIELDS[index]
    if names and rng.random() < 0.3 and 0 <= value - low < len(names.split()):
        return names.split()[value - low]
    return f"{value:02}" if rng.random() < 0.1 else str(value)
