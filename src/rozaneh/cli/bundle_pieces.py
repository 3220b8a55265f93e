"""``rozaneh bundle split`` and ``join``: a bundle in pieces, and back."""

from __future__ import annotations

from pathlib import Path

import click

from rozaneh.cli.bundle_common import FILE, Percent, Size, issuer_option
from rozaneh.cli.options import command_output
from rozaneh.cli.output import Output
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.files import TEMPORARY


@click.command()
@click.argument("file", type=FILE)
@click.option("--carrier", required=True, type=click.Choice(["files", "qr"]), help="What the pieces are.")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="A new folder for them.")
@click.option("--size", type=Size(), metavar="SIZE", help="Bytes of a piece at most: 20KB for files, 2191 for codes.")
@click.option("--fec", default="25%", type=Percent(), metavar="SHARE", help="How much is added for repair.")
@click.option("--key", type=FILE, metavar="FILE", help="Signs the pieces, where the bundle's tables are missing.")
@command_output
def split(output: Output, file: Path, carrier: str, out: Path, size: int | None, fec: float, key: Path | None) -> None:
    """Split a bundle into pieces, of which any that are enough make it again.

    Example: rozaneh bundle split today.rzb --carrier files --out pieces --size 20KB --fec 25%
    """
    from rozaneh.core.files import write_private
    from rozaneh.core.folders import made_whole
    from rozaneh.core.keys import SigningKey
    from rozaneh.offline import headlines
    from rozaneh.offline import split as parts
    from rozaneh.offline.carriers import file as pieces
    from rozaneh.offline.carriers import qr

    signer = SigningKey.load(key) if key is not None else None
    limit = size or (20_000 if carrier == "files" else qr.SCREEN_BYTES)
    try:
        length = file.stat().st_size
        with file.open("rb") as opened:
            whole = opened.read(headlines.MAX_BYTES) if length <= headlines.MAX_BYTES else b""
    except OSError as error:
        raise Fault(FaultKind.USAGE, f"`{file}` cannot be read", why=error.strerror or "") from None
    if headlines.is_headlines(whole) and carrier == "qr":
        with made_whole(out) as folder:
            qr.write(folder, [whole], file.name)
        output.done(f"Made 1 code in `{out}`")
        output.answer("rozaneh.bundle.split/1", {"folder": str(out), "carrier": carrier, "pieces": 1, "fec": 0.0})
        return
    kind = parts.kind_for(limit - len(pieces.MAGIC), length)
    runs = parts.runs(file, kind, fec, signer)
    with made_whole(out) as folder:
        if carrier == "qr":
            count = qr.write(folder, qr.frames(runs, limit), file.name)
        else:
            count = 0
            for count, piece in enumerate(pieces.pieces(runs, limit), 1):
                write_private(folder / f"{count:06}.rzp", piece)
    what = "codes" if carrier == "qr" else "pieces"
    output.done(f"Made {count} {what} in `{out}`")
    output.answer("rozaneh.bundle.split/1", {"folder": str(out), "carrier": carrier, "pieces": count, "fec": fec})
    if carrier == "qr":
        output.hint(f"show `{out / 'codes.gif'}` on a screen, or print the pictures")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH…")
@issuer_option(required=True)
@click.option("--out", required=True, type=FILE, metavar="FILE", help="The bundle.")
@command_output
def join(output: Output, paths: tuple[Path, ...], issuer: str, out: Path) -> None:
    """Put a bundle together from pieces, pictures of codes, or folders of them; says what is missing.

    Example: rozaneh bundle join pieces photo.jpg --issuer news.key.pub --out today.rzb
    """
    import shutil

    from rozaneh.core.files import private_dir, sync_dir, write_private
    from rozaneh.core.issuer import load
    from rozaneh.offline import bundle as bundles
    from rozaneh.offline import headlines
    from rozaneh.offline.headlines import is_headlines
    from rozaneh.offline.join import chunks_in
    from rozaneh.offline.join import paths as all_of
    from rozaneh.offline.joiner import Joiner

    trusted = load(issuer)
    work = out.parent / f"{TEMPORARY}{out.name}.join"
    shutil.rmtree(work, ignore_errors=True)
    private_dir(work)
    unreadable: list[str] = []
    told: list[bytes] = []
    try:
        with Joiner(trusted, work) as joiner:
            for path in all_of(paths):
                try:
                    for found in chunks_in(path):
                        if is_headlines(found):
                            told.append(found)
                        else:
                            joiner.add(found)
                except Fault as fault:
                    # One photograph that is blurred or damaged must not cost the others.
                    unreadable.append(str(path))
                    output.warn(str(fault))
            missing = [part for one in joiner.gathering for part in one.missing()]
            tally = {
                "accepted": joiner.tally.accepted,
                "known": joiner.tally.known,
                "waiting": joiner.tally.waiting,
                "refused": joiner.tally.refused,
            }
            content = {"unreadable": unreadable, "chunks": tally}
            if told and not joiner.whole and not missing:
                headlines.read(told[0], trusted)
                write_private(out, told[0])
                output.done(f"Made `{out}`: headlines; `rozaneh bundle verify` shows them")
                output.answer(
                    "rozaneh.bundle.join/1", {"ok": True, "bundle": str(out), "bytes": len(told[0]), **content}
                )
                return
            if not joiner.whole:
                lacking = [{"block": block, "here": here, "needed": needed} for block, here, needed in missing]
                output.answer("rozaneh.bundle.join/1", {"ok": False, "missing": lacking, **content})
                short = sum(max(1, needed - here) for _, here, needed in missing)
                raise Fault(
                    FaultKind.INTEGRITY,
                    "These pieces are not enough",
                    why=f"about {short} symbols are missing" if missing else "none of them is of this issuer",
                    hint="add others, of any copy of the same bundle",
                )
            made = joiner.whole[0]
            # Its pieces were an issuer's; whether enough of them signed the whole is asked now.
            bundles.check(made, trusted)
            made.replace(out)
            sync_dir(out.absolute().parent)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    output.done(f"Made `{out}`: {out.stat().st_size} bytes")
    if tally["refused"]:
        output.note(f"{tally['refused']} chunks were not of this issuer, or damaged")
    output.answer(
        "rozaneh.bundle.join/1", {"ok": True, "bundle": str(out), "bytes": out.stat().st_size, "missing": [], **content}
    )
