"""Loads a user's own censor: the class `Censor` of one Python file, which is run as any program of theirs would be."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random

from rozaneh.lab.api import Censor, Params

Maker = Callable[[Params, Random], Censor]


def load(path: str | Path) -> Maker:
    """What makes a censor of the file at `path`.

    `ValueError` names the file, and the line where there is one, when the file cannot be read or run, when it has no
    class `Censor` with a method `packet`, and later when the class refuses its parameters.
    """
    file = Path(path)
    name = file.name
    if not file.is_file():
        raise ValueError(f"there is no file {name}")
    # The name is the file's own, so that two files with one name do not become one module.
    unique = f"rozaneh_user_censor_{hashlib.blake2b(str(file.resolve()).encode(), digest_size=8).hexdigest()}"
    spec = importlib.util.spec_from_file_location(unique, file)
    if spec is None or spec.loader is None:
        raise ValueError(f"{name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module  # dataclasses and pickle look a class's module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[unique]
        raise ValueError(_place(file, error)) from error
    kind = getattr(module, "Censor", None)
    if not isinstance(kind, type):
        raise ValueError(f"{name} has no class Censor")
    if not callable(getattr(kind, "packet", None)):
        raise ValueError(f"{name}: class Censor has no method packet(self, p, now)")

    def make(params: Params, rng: Random) -> Censor:
        try:
            made: Censor = kind(params, rng)
        except Exception as error:
            raise ValueError(_place(file, error)) from error
        return made

    return make


def _place(file: Path, error: BaseException) -> str:
    """An exception as one line with the last line of the user's file it passed."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.lineno:
        return f"{file.name}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return f"{file.name}, line {lines[-1]}: {text}" if lines else f"{file.name}: {text}"
