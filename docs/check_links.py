"""Checks the links of the built site: `python docs/check_links.py build/site`.

Each link inside the site must lead to a file that is there and, after `#`, to a place in it. Links to other hosts are
counted and not asked for, so the check needs no network; nothing of a page may be loaded from another host.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page links to, what it loads, and which of its places have a name."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.places = {"", "top"}
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.places |= {values[name] for name in ("id", "name") if name in values}
        if "src" in values or (tag == "link" and values.get("rel") == "stylesheet"):
            self.loaded.append(values.get("src") or values["href"])
        elif "href" in values:
            self.links.append(values["href"])


def mistakes(site: Path) -> tuple[list[str], int, int]:
    """Return what is wrong, and how many links inside the site and to other hosts there are."""
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    wrong, n_inside, n_outside = [], 0, 0
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        wrong += [f"{name}: loads {source}" for source in page.loaded if urlsplit(source).netloc]
        for link in [*page.links, *page.loaded]:
            to = urlsplit(link)
            if to.scheme in ("data", "mailto"):
                continue
            if to.netloc:
                n_outside += 1
                continue
            n_inside += 1
            target = (path.parent / unquote(to.path)).resolve() if to.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                wrong.append(f"{name}: {link} leads to no file")
            elif target in pages and unquote(to.fragment) not in pages[target].places:
                wrong.append(f"{name}: {link} leads to no place of that page")
    return wrong, n_inside, n_outside


if __name__ == "__main__":
    wrong, n_inside, n_outside = mistakes(Path(sys.argv[1]))
    sys.stdout.write("".join(f"{line}\n" for line in wrong))
    sys.stdout.write(f"{n_inside} links inside the site checked, {n_outside} to other hosts not asked for\n")
    sys.exit(bool(wrong))
