"""Chromium and LibreOffice, which write the PDF files of these tests.

`python -m tests.app.files.programs` writes the fixtures in data/ again. It needs both programs, the font IPA Gothic
(Debian: chromium libreoffice-writer fonts-ipafont-gothic) and fonttools, which makes the fonts in the files small.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.app.files import source

DATA = Path(__file__).parent / "data"
FONT = "IPAGothic"
_TIMEOUT_S = 120


def _with_font(program: str | None) -> str | None:
    """The program, where the font is installed: without it, Chromium prints boxes that have no text."""
    if program is None or shutil.which("fc-list") is None:
        return None
    listed = subprocess.run(["fc-list", FONT], check=True, capture_output=True, timeout=_TIMEOUT_S)
    return program if listed.stdout.strip() else None


CHROMIUM = _with_font(shutil.which("chromium") or shutil.which("google-chrome"))
LIBREOFFICE = _with_font(shutil.which("soffice"))


def print_html(page: str, folder: Path) -> bytes:
    """The page as Chromium prints it to PDF; `folder` is for its files."""
    assert CHROMIUM is not None
    (folder / "page.html").write_text(page, encoding="utf-8")
    output = folder / "page.pdf"
    subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"),
            *("--no-pdf-header-footer", f"--print-to-pdf={output}", (folder / "page.html").as_uri()),
        ],
        check=True,
        capture_output=True,
        timeout=_TIMEOUT_S,
    )
    return output.read_bytes()


def convert(document: Path, target: str, folder: Path) -> bytes:
    """The document as LibreOffice converts it to `target`, such as pdf or docx; `folder` is for its files."""
    assert LIBREOFFICE is not None
    subprocess.run(
        [
            *(LIBREOFFICE, f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless"),
            *("--convert-to", target, "--outdir", str(folder), str(document)),
        ],
        check=True,
        capture_output=True,
        timeout=_TIMEOUT_S,
    )
    return (folder / document.with_suffix(f".{target.partition(':')[0]}").name).read_bytes()


def print_text(text: str, folder: Path, target: str = "pdf") -> bytes:
    """The flat OpenDocument text as LibreOffice converts it."""
    (folder / "text.fodt").write_text(text, encoding="utf-8")
    return convert(folder / "text.fodt", target, folder)


def _small_font(folder: Path) -> str:
    """A CSS rule for a font that has the characters of the source alone."""
    from fontTools import subset

    listed = subprocess.run(["fc-match", "-f", "%{file}", FONT], check=True, capture_output=True, text=True)
    options = subset.Options(layout_features=["*"], hinting=False)
    font = subset.load_font(listed.stdout, options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(text=source.HEAD + "".join(part.text + part.plain for part in source.LIBRARY) + "0123456789- ")
    subsetter.subset(font)
    subset.save_font(font, str(folder / "small.ttf"), options)
    return "@font-face { font-family: small; src: url(small.ttf) }"


def main() -> None:
    for vertical, suffix in ((False, "horizontal"), (True, "vertical")):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            page = source.html(vertical, "small", _small_font(folder))
            (DATA / f"chromium-{suffix}.pdf").write_bytes(print_html(page, folder))
            (DATA / f"libreoffice-{suffix}.pdf").write_bytes(print_text(source.fodt(vertical, FONT), folder))
    with tempfile.TemporaryDirectory() as name:
        options = (
            '{"EncryptFile":{"type":"boolean","value":"true"},"DocumentOpenPassword":{"type":"string","value":"x"}}'
        )
        text = source.fodt(False, FONT, source.LIBRARY[:1])
        encrypted = print_text(text, Path(name), f"pdf:writer_pdf_Export:{options}")
        (DATA / "libreoffice-encrypted.pdf").write_bytes(encrypted)


if __name__ == "__main__":
    main()
