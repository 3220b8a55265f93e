"""``rozaneh bundle``: news in one signed file, made, checked, opened, compared, put together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rozaneh.cli import bundle_pieces
from rozaneh.cli.bundle_common import FILE, Size, issuer_option
from rozaneh.cli.options import command_output
from rozaneh.cli.output import Output, day

if TYPE_CHECKING:
    from rozaneh.offline.bundle import Checked
    from rozaneh.offline.sources import SourceList

from rozaneh.core.errors import Fault, FaultKind


@click.group()
def bundle() -> None:
    """News in one signed file, for reading without a network."""


bundle.add_command(bundle_pieces.split)
bundle.add_command(bundle_pieces.join)


@bundle.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCES.toml|FEED-URL…")
@click.option("--key", "keys", multiple=True, required=True, type=FILE, metavar="FILE", help="Who signs; may repeat.")
@click.option("--out", required=True, type=FILE, metavar="FILE", help="The bundle.")
@click.option("--base", type=FILE, metavar="OLD", help="A bundle that readers have: its parts are left out.")
@click.option("--limit", type=Size(), metavar="SIZE", help="Bytes at most, such as 250KB: the newest that fit.")
@command_output
def make(
    output: Output, sources: tuple[str, ...], keys: tuple[Path, ...], out: Path, base: Path | None, limit: int | None
) -> None:
    """Fetch the sources and make a bundle of their articles.

    Example: rozaneh bundle make https://news.example/feed.xml --key news.key --out today.rzb --limit 250KB
    """
    from io import BytesIO

    from rozaneh.core.clock import SystemClock
    from rozaneh.core.files import write_private
    from rozaneh.core.keys import SigningKey
    from rozaneh.offline import bundle as files
    from rozaneh.offline import headlines, tables
    from rozaneh.offline.fetch import Fetcher
    from rozaneh.offline.make import gather, headlines_of
    from rozaneh.offline.make import make as build
    from rozaneh.offline.sources import own_hosts

    wanted = _sources(sources)
    signing = [SigningKey.load(path) for path in keys]
    issued = SystemClock().now()
    blobs: dict[str, bytes] = {}
    digest = ""
    if base is not None:
        from rozaneh.core.issuer import of_key

        # Only what one of the signers made: a base of somebody else's would leave holes in what they sign.
        head, blobs = files.contents(base, of_key(signing[0].public()))
        digest = head.editions[0].digest
    with Fetcher(own_hosts(wanted)) as fetcher:
        gathered = gather(wanted, fetcher.fetch, output.note)
    for failure in gathered.failures:
        output.warn(f"{failure.url}: {failure.why}")
    failed = [{"url": one.url, "why": one.why} for one in gathered.failures]
    if limit is not None and limit <= headlines.MAX_BYTES:
        content, told = headlines.make(*headlines_of(gathered, wanted.title, issued), signing, limit)
        write_private(out, content)
        output.done(f"Made `{out}`: {len(told.lines)} headlines, {len(content)} bytes: one code holds them")
        output.answer(
            "rozaneh.bundle.make/1",
            {"bundle": str(out), "bytes": len(content), "headlines": len(told.lines), "failed": failed},
        )
        return
    made = build(
        gathered,
        signing,
        title=wanted.title or gathered.sources[0].name,
        issued=issued,
        limit=limit,
        base=blobs,
        base_digest=digest,
    )
    write_private(out, made.content)
    # Afterwards: tables without their bundle are of use to nobody.
    write_private(tables.beside(out), b"".join(tables.make(BytesIO(made.content), signing[0])))
    manifest = made.edition.manifest
    output.done(f"Made `{out}`: {len(manifest.articles)} articles, {len(made.content)} bytes")
    if made.left_out:
        output.note(f"{made.left_out} older articles did not fit")
    output.answer(
        "rozaneh.bundle.make/1",
        {
            "bundle": str(out),
            "bytes": len(made.content),
            "digest": made.edition.digest,
            "articles": len(manifest.articles),
            "left_out": made.left_out,
            "failed": failed,
        },
    )
    output.hint(f"readers check it with `rozaneh bundle verify {out.name} --issuer YOUR.pub`")


@bundle.command()
@click.argument("file", type=FILE)
@issuer_option(required=True)
@command_output
def verify(output: Output, file: Path, issuer: str) -> None:
    """Check a bundle to its last byte; exit code 10 when anything is wrong.

    Example: rozaneh bundle verify today.rzb --issuer news.key.pub
    """
    from rozaneh.core.issuer import load
    from rozaneh.offline import bundle as files

    trusted = load(issuer)
    told = files.headlines_in(file, trusted)
    if told is not None:
        for line in told.lines:
            output.data(line)
        output.done(f"{told.title}, {day(told.issued)}: whole, and signed by {trusted.words}")
        output.answer(
            "rozaneh.bundle.verify/1",
            {"ok": True, "issuer": trusted.words, "whole": True, "title": told.title, "headlines": list(told.lines)},
        )
        return
    found = files.check(file, trusted)
    editions = _editions(found)
    for edition in editions:
        state = f"{edition['whole']} of {edition['articles']} articles"
        output.data(f"{edition['issued']}  {edition['title']}  {state}")
    content = {"issuer": trusted.words, "whole": found.whole, "editions": editions}
    if found.whole:
        output.done(f"Whole, and signed by {trusted.words}")
        output.answer("rozaneh.bundle.verify/1", {"ok": True, **content})
        return
    for edition in editions:
        for title in edition["missing"]:
            output.note(f"missing: {title}")
    output.answer("rozaneh.bundle.verify/1", {"ok": False, **content})
    raise Fault(
        FaultKind.INTEGRITY,
        "Something stands behind the bundle's end" if found.appended else "The bundle is torn or damaged",
        why="what is listed above is whole, the rest is missing" if not found.appended else "it was added by others",
        hint="get it again; `rozaneh bundle open` shows what is whole",
    )


@bundle.command(name="open")
@click.argument("file", type=FILE)
@issuer_option(required=True)
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="A new folder.")
@click.option("--base", type=FILE, metavar="OLD", help="The bundle that this one builds on.")
@command_output
def open_(output: Output, file: Path, issuer: str, out: Path, base: Path | None) -> None:
    """Write the pages of a bundle into a folder, for a browser without a network.

    Example: rozaneh bundle open today.rzb --issuer news.key.pub --out news
    """
    from rozaneh.core.issuer import load
    from rozaneh.offline import bundle as files
    from rozaneh.offline.reader.folder import write

    trusted = load(issuer)
    head, blobs = files.contents(file, trusted)
    if base is not None:
        blobs = files.contents(base, trusted)[1] | blobs
    shown = write(out, head.editions, blobs, trusted.words)
    output.done(f"Open `{out / 'index.html'}`: {shown.articles} articles")
    output.note(f"Signed by {trusted.words}, issued {day(max(one.manifest.issued for one in head.editions))}")
    if shown.missing:
        output.warn(f"{len(shown.missing)} articles are missing: the bundle is torn, or builds on another (`--base`)")
    output.answer(
        "rozaneh.bundle.open/1",
        {
            "pages": str(out / "index.html"),
            "articles": shown.articles,
            "missing": list(shown.missing),
            "issuer": trusted.words,
        },
    )


@bundle.command()
@click.argument("file", type=FILE)
@issuer_option(required=False)
@command_output
def inspect(output: Output, file: Path, issuer: str | None) -> None:
    """List what is in a bundle.

    Example: rozaneh bundle inspect today.rzb --issuer news.key.pub
    """
    from rozaneh.core.issuer import key_line, load
    from rozaneh.offline import bundle as files

    trusted = load(issuer) if issuer is not None else None
    found = files.check(file, trusted)
    if trusted is None:
        output.warn("unverified: anybody may have made this; name who must have with `--issuer`")
    for edition in found.head.editions:
        manifest = edition.manifest
        output.data(f"{manifest.title}, {day(manifest.issued)}, {len(manifest.articles)} articles")
        for article in manifest.articles:
            output.data(f"  {day(article.published or None)}  {article.title}")
    output.answer(
        "rozaneh.bundle.inspect/1",
        {
            "verified": trusted is not None,
            "issuer": trusted.words if trusted else None,
            "whole": found.whole,
            "editions": [
                {
                    **described,
                    "digest": edition.digest,
                    "base": edition.manifest.base or None,
                    "signed_by": [key_line(key) for key in edition.signers],
                    "sources": [{"name": one.name, "licence": one.licence} for one in edition.manifest.sources],
                    "contents": [
                        {"id": one.id, "title": one.title, "language": one.language, "url": one.url}
                        for one in edition.manifest.articles
                    ],
                }
                for described, edition in zip(_editions(found), found.head.editions, strict=True)
            ],
        },
    )


@bundle.command()
@click.argument("first", type=FILE)
@click.argument("second", type=FILE)
@command_output
def diff(output: Output, first: Path, second: Path) -> None:
    """Say which articles two bundles differ in; neither's signer is asked for.

    Example: rozaneh bundle diff yesterday.rzb today.rzb
    """
    from rozaneh.offline import bundle as files

    heads = [files.check(path, None).head for path in (first, second)]
    found = files.diff(*([edition.manifest for edition in head.editions] for head in heads))
    for mark, articles in (("+", found.added), ("-", found.removed), ("~", found.changed)):
        for article in articles:
            output.data(f"{mark} {article.title}")
    output.answer(
        "rozaneh.bundle.diff/1",
        {
            "added": [{"id": one.id, "title": one.title} for one in found.added],
            "removed": [{"id": one.id, "title": one.title} for one in found.removed],
            "changed": [{"id": one.id, "title": one.title} for one in found.changed],
        },
    )


@bundle.command()
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="A B…")
@issuer_option(required=True)
@click.option("--out", required=True, type=FILE, metavar="FILE", help="The bundle that has them all.")
@command_output
def merge(output: Output, files: tuple[Path, ...], issuer: str, out: Path) -> None:
    """Put several bundles of one issuer into one file, each edition as it was signed.

    Example: rozaneh bundle merge monday.rzb tuesday.rzb --issuer news.key.pub --out week.rzb
    """
    from io import BytesIO

    from rozaneh.core.files import write_private
    from rozaneh.core.issuer import load
    from rozaneh.offline import bundle as bundles

    trusted = load(issuer)
    made = BytesIO()
    editions = bundles.merge([bundles.contents(path, trusted) for path in files], made)
    write_private(out, made.getvalue())
    output.done(f"Made `{out}`: {len(editions)} editions, {len(made.getvalue())} bytes")
    output.answer(
        "rozaneh.bundle.merge/1", {"bundle": str(out), "bytes": len(made.getvalue()), "editions": len(editions)}
    )


def _sources(given: tuple[str, ...]) -> SourceList:
    from rozaneh.offline import sources

    addresses = tuple(one for one in given if one.startswith(("http://", "https://")))
    if len(addresses) == len(given):
        return sources.of_feeds(addresses)
    if len(given) > 1:
        raise Fault(FaultKind.USAGE, "Name one file of sources, or addresses of feeds")
    return sources.load(Path(given[0]))


def _editions(found: Checked) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for edition in found.head.editions:
        readable = {article.id for article in found.readable(edition)}
        left = {blob.hash for blob in edition.manifest.blobs if blob.base} - found.good
        rows.append(
            {
                "title": edition.manifest.title,
                "issued": day(edition.manifest.issued),
                "articles": len(edition.manifest.articles),
                "whole": len(readable),
                "in_base": sum(
                    edition.manifest.blobs[article.text].hash in left for article in edition.manifest.articles
                ),
                "missing": [
                    article.title
                    for article in edition.manifest.articles
                    if article.id not in readable and edition.manifest.blobs[article.text].hash not in left
                ],
            }
        )
    return rows
