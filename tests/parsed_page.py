"""An HTML page as tests see it, with checks that hold for every page of ours."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.contents: dict[str, str] = {}
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an element."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        """Record text, separately for scripts and styles."""
        if self.cdata_elem:
            self.contents[self.cdata_elem] = self.contents.get(self.cdata_elem, "") + data
        else:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of each element with this tag."""
        return [attributes for name, attributes in self.elements if name == tag]

    def check_that_nothing_is_loaded(self) -> None:
        """Nothing refers outside the page, and the policy allows only its own script and style."""
        (policy,) = (meta["content"] for meta in self.all("meta") if "http-equiv" in meta)
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
        for _, attributes in self.elements:
            assert not attributes.keys() & {"src", "srcset", "poster", "data", "action", "style"}
            assert attributes.get("href", "#").startswith("#")
        assert self.contents.keys() == {"script", "style"}
        for name, content in self.contents.items():
            assert not re.search(r"url\(|@import|https?:|\bimport\b|fetch|XMLHttp", content)
            assert len(self.all(name)) == 1
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            assert f"{name}-src 'sha256-{digest}'" in policy

    def check_that_it_is_accessible(self) -> None:
        """Headings descend, table headers have scopes, and the count is announced."""
        levels = [int(tag[1]) for tag, _ in self.elements if re.fullmatch(r"h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
        assert all("scope" in header for header in self.all("th"))
        assert len(self.all("output")) == 1  # it has the role status, which is announced politely
        assert self.all("html") == [{"lang": "en"}]
