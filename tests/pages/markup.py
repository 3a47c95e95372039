"""Reads a page as a browser and a screen reader would, and says what is wrong with it."""

from collections import Counter
from html.parser import HTMLParser

CONTROLS = {"input", "select", "textarea"}
UNLABELLED = {"hidden", "submit", "button"}


class Page(HTMLParser):
    """What the rules below look at, gathered while parsing."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.ids: Counter[str] = Counter()
        self.labelled: set[str] = set()
        self.controls: list[dict[str, str | None]] = []
        self.references: list[str] = []
        self.tags: Counter[str] = Counter()
        self._template = 0
        self.feed(html)

    def handle_starttag(self, tag, attrs) -> None:
        given = dict(attrs)
        self._template += tag == "template"
        self.tags[tag] += 1
        self._policy(tag, given)
        if not self._template:
            self._identity(tag, given)

    def handle_endtag(self, tag) -> None:
        self._template -= tag == "template"

    def _policy(self, tag: str, given: dict) -> None:
        """What the content security policy would refuse."""
        data = given.get("type") == "application/json"
        if tag == "style" or (tag == "script" and not data and not given.get("src")):
            self.faults.append(f"inline {tag}")
        for name, value in given.items():
            if name.startswith("on") or name == "style" or (value or "").startswith("javascript:"):
                self.faults.append(f"{tag} {name}={value!r}")
            if name in ("src", "href") and (value or "").startswith(("http:", "https:", "//")):
                self.faults.append(f"{tag} loads {value!r} from elsewhere")

    def _identity(self, tag: str, given: dict) -> None:
        if "id" in given:
            self.ids[given["id"]] += 1
        if tag == "label":
            self.labelled.add(given.get("for", ""))
        if tag in CONTROLS and given.get("type") not in UNLABELLED:
            self.controls.append(given)
        self.references += (given.get("aria-labelledby") or "").split()

    def all_faults(self) -> list[str]:
        """Every fault of a whole page or a fragment."""
        twice = [f"id {name!r} stands {n} times" for name, n in self.ids.items() if n > 1]
        bare = [
            f"no label for {c.get('name') or c.get('id')!r}"
            for c in self.controls
            if c.get("id") not in self.labelled and "aria-label" not in c
        ]
        return self.faults + twice + bare

    def page_faults(self) -> list[str]:
        """The faults of a whole page: landmarks and headings besides."""
        wanted = {"main": 1, "h1": 1, "title": 1}
        missing = [f"{self.tags[t]} of {t}" for t, n in wanted.items() if self.tags[t] != n]
        return self.all_faults() + missing
