"""Make text from outside, such as file names, safe to print."""


def printable(value: object) -> str:
    r"""Return a value as text, with escape codes for characters that cannot be printed.

    Names may contain line ends, control codes of the terminal, characters that change the direction
    of writing, and bytes that are not UTF-8.

    >>> printable("a\x1b[2J\nb")
    'a\\x1b[2J\\nb'
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value)
    )


def one_line(value: object) -> str:
    r"""Return a text of several lines as a single printable line.

    >>> one_line("Expected this,\n  got \x07.")
    'Expected this, got \\x07.'
    """
    return printable(" ".join(str(value).split()))
