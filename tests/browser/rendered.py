"""Pages as Chromium lays them out, answered by Django's test client; files by a small server."""

import re
from contextvars import copy_context
from pathlib import Path
from urllib.parse import urlsplit

from django.test import Client
from playwright.sync_api import Browser, Page, Route

from tests.browser.static_server import origin

AXE = Path(__file__).parent / "axe" / "axe.min.js"
ASKED = """
window.asked = new WeakSet();
addEventListener("htmx:beforeRequest", (event) => window.asked.add(event.target));
"""
SETTLED = """() => document.readyState === "complete"
  && !document.querySelector(".loading, .htmx-request")
  && [...document.querySelectorAll("[hx-trigger^=load]")].every((box) => window.asked.has(box))
"""
WIDE = """() => {
  const most = document.documentElement.clientWidth;
  const held = (box) => {
    for (let up = box.parentElement; up; up = up.parentElement)
      if (getComputedStyle(up).overflowX !== "visible") return true;
    return false;
  };
  const out = [...document.body.querySelectorAll("*")].filter((box) => {
    const edge = box.getBoundingClientRect();
    return edge.width && edge.right > most + 1 && !held(box);
  });
  const page = document.documentElement.scrollWidth;
  return (page > most ? [`the page is ${page} wide`] : []).concat(
    out.slice(0, 5).map((box) => `${box.tagName}#${box.id}.${box.className}`)
  );
}"""
HIDDEN_PLACE = """() => {
  const here = document.querySelector(".masthead-nav [aria-current]");
  if (!here) return false;
  const [place, row] = [here, here.closest("nav")].map((box) => box.getBoundingClientRect());
  return place.left < row.left - 1 || place.right > row.right + 1;
}"""
UNLABELLED = """() => [...document.querySelectorAll(".table-cards")].flatMap((table) => {
  const heads = [...table.querySelectorAll("thead th")].map((head) => head.textContent.trim());
  return [...table.tBodies].flatMap((body) => [...body.rows]).flatMap((row) =>
    [...row.cells]
      .filter((cell, at) => cell.colSpan === 1 && cell.tagName === "TD"
        && cell.dataset.label !== heads[at])
      .map((cell) => `${heads[cell.cellIndex]}: ${cell.dataset.label}`));
})"""


def opened(browser: Browser, client: Client, width: int, dark: bool = False) -> Page:
    """A page whose every request the logged-in `client` answers.

    In the caller's context: Django's connection, with the test's transaction, is bound to it.
    """
    here = copy_context()
    context = browser.new_context(
        base_url=origin(),
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
    )
    context.add_init_script(ASKED)
    page = context.new_page()
    pages = re.compile(rf"{origin()}/(?!static/)")
    page.route(pages, lambda route: here.copy().run(_answer, route, client))
    return page


def settled(page: Page, address: str) -> None:
    """Go there and wait until every panel has come."""
    page.goto(address)
    page.wait_for_function(SETTLED)


def axe(page: Page) -> list[str]:
    """What axe-core finds wrong with the page as it stands, each with its place."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {node['target']}" for rule in found["violations"] for node in rule["nodes"]
    ]


def _answer(route: Route, client: Client) -> None:
    request = route.request
    address = urlsplit(request.url)
    answer = client.generic(
        request.method,
        f"{address.path}?{address.query}" if address.query else address.path,
        request.post_data or "",
        content_type=request.headers.get("content-type", "text/html"),
        headers={"HX-Request": request.headers.get("hx-request", "")},
    )
    return route.fulfill(
        status=answer.status_code, headers=dict(answer.items()), body=answer.content
    )
