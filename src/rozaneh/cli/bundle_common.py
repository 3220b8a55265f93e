"""What the commands on bundles have in common: sizes, shares, the issuer."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(path_type=Path, dir_okay=False)
_SIZE = re.compile(r"([1-9][0-9]{0,8})(B|KB|MB|GB)?\Z")
_UNITS = {None: 1, "B": 1, "KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}
_ISSUER_HELP = "Who must have signed it: a key's line, or a file with a key, a chain or a policy."


class Percent(click.ParamType[float]):
    """A share, written as a percentage."""

    name = "share"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The share as a number.

        Raises:
            click.BadParameter: it is not written so, or more than 100 %.
        """
        match = re.match(r"([0-9]{1,3})%\Z", str(value))
        if isinstance(value, float):
            return value
        if match is None or int(match[1]) > 100:
            self.fail("write it as 25%, at most 100%", param, ctx)
        return int(match[1]) / 100


class Size(click.ParamType[int]):
    """Bytes, with a unit or without."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of bytes.

        Raises:
            click.BadParameter: it is not written so.
        """
        match = _SIZE.match(str(value))
        if match is None:
            self.fail("write it as 250KB or 1MB", param, ctx)
        return int(match[1]) * _UNITS[match[2]]


def issuer_option(*, required: bool) -> Callable[[F], F]:
    return click.option("--issuer", required=required, metavar="I", help=_ISSUER_HELP)
