"""From `options.toml` to what typer asks of a command: types, defaults, flags, help and bounds."""

import inspect
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from invertdesc.cli.completing import COMPLETIONS

TEXTS: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("options.toml").read_text(encoding="utf-8")
)
TYPES: dict[str, Any] = {
    "bool": bool,
    "float": float | None,
    "int": int | None,
    "list": list[str] | None,
    "path": Path | None,
    "str": str | None,
}
AS_IT_IS = "\b"  # click leaves the lines of the paragraph behind it as they are
_KEYWORD = inspect.Parameter("option", inspect.Parameter.KEYWORD_ONLY)


def describe(command: Callable[..., None], name: str) -> dict[str, Any]:
    """Give a command the options of its section, and return its help texts for typer.

    The examples in a docstring go behind the options.

    Raises:
        KeyError: An option has no line, or a line neither a parameter nor a type.
    """
    lines = TEXTS["shared"] | TEXTS[name]
    hints, named = get_type_hints(command), inspect.signature(command).parameters
    found = [one for one in named.values() if hints[one.name] is typer.Context]
    for option in lines["options"]:
        line = dict(lines[option])
        flags, kind = line.pop("flags", ()), line.pop("argument", False)
        hint, default = TYPES.get(line.pop("type", "")), line.pop("default", None)
        if option in named:
            hint, default = hints[option], named[option].default
        line["autocompletion"] = COMPLETIONS.get(option)
        about = (typer.Argument if kind else typer.Option)(*flags, **line)
        annotation: Any = Annotated[hint, about]
        found.append(_KEYWORD.replace(name=option, default=default, annotation=annotation))
    command.__signature__ = inspect.Signature(found)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in found}
    about, _, examples = (inspect.getdoc(command) or "").partition("\n\nExamples:\n")
    shown = "".join(f"\n  {line.strip()}" for line in examples.splitlines())
    first = " ".join(about.partition("\n\n")[0].split())  # given, since its end is cut off else
    return {"help": about, "short_help": first, "epilog": f"{AS_IT_IS}\nExamples:{shown}"}
