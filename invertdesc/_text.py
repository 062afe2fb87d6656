"""Text that others wrote, such as names of files, made fit to be printed."""


def printable(value: object) -> str:
    r"""Return a value as text in which what cannot be printed stands as a code.

    Names may hold line ends, what moves a terminal's cursor or turns the direction of writing
    round, and bytes that are no UTF-8.

    >>> printable("a\x1b[2J\nb")
    'a\\x1b[2J\\nb'
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value)
    )


def one_line(value: object) -> str:
    r"""Return a text of several lines as one that can be printed.

    >>> one_line("Expected this,\n  got \x07.")
    'Expected this, got \\x07.'
    """
    return printable(" ".join(str(value).split()))
