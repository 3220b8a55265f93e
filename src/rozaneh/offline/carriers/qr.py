"""Codes on a screen for a camera, or on paper: numbered pictures, an animation of them, and a page that shows both.

A code holds whole chunks. On a screen the defaults move about 15 kB of a bundle a second at ten pictures a second: two
symbols of 1,000 bytes a picture (a code of version 34, as large as a telephone's camera still reads from a screen), a
quarter of them for repair, every group three times.
"""

from __future__ import annotations

import html
import io
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.offline.chunks import REPEATS
from rozaneh.offline.split import Run

SCREEN_BYTES = 2_191  # a QR code of version 34 at level L (ISO/IEC 18004 table 7): a group of 64 and a symbol fit
FRAME_MS = 100
SHARE = 0.25
_SCALE = 4  # pixels a module: a camera wants three, a screen has them
_BORDER = 4  # modules, ISO/IEC 18004 section 9.1
_CAPTION = 16  # pixels
_MAX_PIXELS = 64_000_000  # a photograph of a telephone of today
_MAX_FRAMES = 20_000
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")


def frames(runs: Iterable[Run], size: int) -> Iterator[bytes]:
    """What each code holds: at most `size` bytes of whole chunks; each group goes out `REPEATS` times."""
    for run in runs:
        group = run.group.encode()
        symbols = [symbol.encode() for symbol in run.symbols]
        step = -(-len(symbols) // REPEATS)
        for start in range(0, len(symbols), step):
            frame = bytearray(group)
            for symbol in symbols[start : start + step]:
                if len(frame) + len(symbol) > size:
                    yield bytes(frame)
                    frame = bytearray()
                frame += symbol
            yield bytes(frame)


def write(folder: Path, contents: Iterable[bytes], title: str) -> int:
    """Writes `0001.png`, …, `codes.gif` and `index.html` into `folder`; how many codes there are.

    Raises:
        Fault: CONFIG when what a code should hold does not fit into one.
    """
    import segno
    from PIL import Image, ImageDraw

    pictures: list[Image.Image] = []
    for number, content in enumerate(contents, 1):
        try:
            code = segno.make_qr(content, error="l", mode="byte", boost_error=False)
        except segno.DataOverflowError:
            raise Fault(FaultKind.CONFIG, "A code cannot hold so much", hint="give a smaller `--size`") from None
        raw = io.BytesIO()
        code.save(raw, kind="png", scale=_SCALE, border=_BORDER)
        drawn = Image.open(raw).convert("1")
        picture = Image.new("1", (drawn.width, drawn.height + _CAPTION), 1)
        picture.paste(drawn, (0, 0))
        ImageDraw.Draw(picture).text((_BORDER * _SCALE, drawn.height), str(number), fill=0)
        picture.save(folder / f"{number:04}.png", optimize=False)
        pictures.append(picture)
    if not pictures:
        raise Fault(FaultKind.CONFIG, "There is nothing to show")
    # All of one size, as an animation needs: the last code may be smaller.
    width, height = max(one.width for one in pictures), max(one.height for one in pictures)
    padded = []
    for one in pictures:
        whole = Image.new("1", (width, height), 1)
        whole.paste(one, ((width - one.width) // 2, 0))
        padded.append(whole)
    padded[0].save(
        folder / "codes.gif", save_all=True, append_images=padded[1:], duration=FRAME_MS, loop=0, optimize=False
    )
    (folder / "index.html").write_bytes(_page(title, len(pictures), width))
    return len(pictures)


def _page(title: str, count: int, width: int) -> bytes:
    rows = "\n".join(
        f'<figure id="c{number}"><img src="{number:04}.png" alt="{number}"><figcaption>{number} / {count}</figcaption>'
        "</figure>"
        for number in range(1, count + 1)
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src 'self' file:\">\n"
        f"<title>{html.escape(title)}</title>\n</head>\n<body>\n"
        f'<p><img src="codes.gif" width="{width}" alt="{count} codes, one after the other"></p>\n'
        f"{rows}\n</body>\n</html>\n"
    ).encode()


def read(path: Path) -> Iterator[bytes]:
    """What the codes of a picture, a photograph or an animation hold.

    Raises:
        Fault: USAGE when it is no picture that can be read.
    """
    import zxingcpp
    from PIL import Image, ImageSequence, UnidentifiedImageError

    kinds = zxingcpp.barcode_formats_from_str("QRCode")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as picture:
                if picture.width * picture.height > _MAX_PIXELS:
                    raise Fault(FaultKind.USAGE, f"`{path}` is larger than a photograph")
                for number, frame in enumerate(ImageSequence.Iterator(picture)):
                    if number >= _MAX_FRAMES:
                        break
                    for code in zxingcpp.read_barcodes(frame.convert("L"), formats=kinds):
                        yield bytes(code.bytes)
    except (UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Fault(FaultKind.USAGE, f"`{path}` is no picture that can be read") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise Fault(FaultKind.USAGE, f"`{path}` cannot be read to its end", why=type(error).__name__) from error
