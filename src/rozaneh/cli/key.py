"""``rozaneh key``: make a key that signs news, hand over to a new one, show who it is."""

from __future__ import annotations

from pathlib import Path

import click

from rozaneh.cli.options import command_output
from rozaneh.cli.output import Output

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def key() -> None:
    """Make, rotate and show keys that sign bundles."""


@key.command()
@click.option("--out", required=True, type=_FILE, metavar="FILE", help="A new file for the private key.")
@command_output
def new(output: Output, out: Path) -> None:
    """Make a key; FILE.pub gets the line that others are given.

    Example: rozaneh key new --out news.key
    """
    from rozaneh.core.files import write_private
    from rozaneh.core.issuer import key_line
    from rozaneh.core.keys import SigningKey, fingerprint

    made = SigningKey.generate()
    made.save(out)
    line = key_line(made.public())
    # Beside the private key, and as private to begin with: its owner decides who gets it.
    write_private(out.with_name(f"{out.name}.pub"), f"{line}\n".encode("ascii"))
    output.done(f"Made a key in `{out}`")
    output.note(f"Its issuer in words: {fingerprint(made.public())}")
    output.data(line)
    output.answer("rozaneh.key.new/1", {"key": str(out), "line": line, "words": fingerprint(made.public())})
    output.hint(f"keep `{out}` where nobody else reads it, and give `{out}.pub` to your readers")


@key.command()
@click.option("--old", required=True, type=_FILE, metavar="FILE", help="The key that is given up.")
@click.option("--new", "new_", required=True, type=_FILE, metavar="FILE", help="The key that takes over.")
@click.option("--out", required=True, type=_FILE, metavar="CHAIN", help="The lines for readers; extended if there.")
@command_output
def rotate(output: Output, old: Path, new_: Path, out: Path) -> None:
    """Hand over from one key to the next; readers who have CHAIN believe the new one alone.

    Example: rozaneh key rotate --old news.key --new news2.key --out news.chain
    """
    from rozaneh.core import issuer
    from rozaneh.core.errors import Fault, FaultKind
    from rozaneh.core.files import write_private
    from rozaneh.core.keys import SigningKey, fingerprint

    old_key, new_key = SigningKey.load(old), SigningKey.load(new_)
    before = issuer.load(str(out)) if out.exists() else issuer.of_key(old_key.public())
    if len(before.members) != 1 or before.members[0].key != old_key.public():
        raise Fault(
            FaultKind.CONFIG,
            f"`{out}` does not end with the old key",
            why="it belongs to another key, or was extended already",
        )
    made = issuer.parse(before.text + issuer.rotation_line(old_key, new_key) + "\n")
    write_private(out, made.text.encode("ascii"))
    words = fingerprint(new_key.public())
    output.done(f"Handed over: `{out}` has {len(made.members[0].keys)} keys, the last of which counts")
    output.note(f"Its issuer in words: {words}")
    output.answer("rozaneh.key.rotate/1", {"chain": str(out), "keys": len(made.members[0].keys), "words": words})


@key.command()
@click.argument("file", type=_FILE)
@command_output
def show(output: Output, file: Path) -> None:
    """Say who a key, a chain or a policy is.

    Example: rozaneh key show news.key.pub
    """
    from rozaneh.core import issuer
    from rozaneh.core.errors import Fault, FaultKind
    from rozaneh.core.keys import SigningKey

    try:
        with file.open("rb") as opened:
            private = opened.read(11).startswith(b"-----BEGIN ")
    except OSError as error:
        raise Fault(FaultKind.USAGE, f"`{file}` cannot be read", why=error.strerror or "") from None
    found = issuer.of_key(SigningKey.load(file).public()) if private else issuer.load(str(file))
    output.data(f"issuer in words  {found.words}")
    if len(found.members) > 1:
        output.data(f"must sign        {found.threshold} of {len(found.members)}")
    for member in found.members:
        after = f", rotated {len(member.keys) - 1} times" if len(member.keys) > 1 else ""
        output.data(f"key              {issuer.key_line(member.key)}{after}")
    output.answer(
        "rozaneh.key.show/1",
        {
            "words": found.words,
            "threshold": found.threshold,
            "keys": [
                {"line": issuer.key_line(member.key), "rotations": len(member.keys) - 1} for member in found.members
            ],
        },
    )
