"""The web page: its files, the policy they live under, and that they fit the service."""

import re
from html.parser import HTMLParser

import httpx
import pytest
from fastapi import FastAPI

import app.errors
from app.http.pages import STATIC, SWAGGER, add_page
from app.main import create_app
from app.settings import Settings

SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(STATIC.glob("*.js"))}
PAGE = (STATIC / "index.html").read_text(encoding="utf-8")
REFERENCE = (STATIC / "docs.html").read_text(encoding="utf-8")
STYLE = (STATIC / "page.css").read_text(encoding="utf-8")


class _Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self._in = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in = tag

    def handle_data(self, data: str) -> None:
        if self._in in ("script", "style"):
            self.inline += data.strip()

    def handle_endtag(self, tag: str) -> None:
        self._in = ""


ELEMENTS = _Elements(PAGE).elements


def _client(application: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://test")


@pytest.fixture
def client() -> httpx.AsyncClient:
    application = FastAPI(docs_url=None)
    add_page(application)
    return _client(application)


async def test_the_page_may_talk_to_this_server_only(client: httpx.AsyncClient) -> None:
    response = await client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    policy = (await client.get("/docs")).headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy


def test_the_page_obeys_its_policy() -> None:
    assert _Elements(PAGE).inline == ""
    assert _Elements(REFERENCE).inline == ""
    for tag, attributes in ELEMENTS:
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag
    for name, text in {**SCRIPTS, "index.html": PAGE, "docs.html": REFERENCE, "page.css": STYLE}.items():
        assert not re.search(r"https?://|//[a-z]+\.[a-z]", text), name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|\.style\b", text), name


async def test_every_file_that_is_named_is_served(client: httpx.AsyncClient) -> None:
    elements = [*ELEMENTS, *_Elements(REFERENCE).elements]
    named = {value for _, attributes in elements for value in attributes.values() if value and "static/" in value}
    named |= {f"static/{name}" for text in SCRIPTS.values() for name in re.findall(r'from "\./([^"]+)"', text)}
    named |= {f"static/samples/{name}" for name in re.findall(r'file: "([^"]+)"', SCRIPTS["samples.js"])}
    of_swagger = {name for name in named if name.startswith("static/swagger/")}
    assert of_swagger <= {f"static/swagger/{path.name}" for path in SWAGGER.iterdir()}
    samples = {name for name in named if name.startswith("static/samples/")}
    assert samples == {f"static/samples/{path.name}" for path in (STATIC / "samples").iterdir()}
    assert named - of_swagger - samples == {
        f"static/{path.name}" for path in STATIC.iterdir() if path.name not in ("index.html", "docs.html", "samples")
    }
    for name in named:
        response = await client.get(f"/{name}")
        assert response.status_code == 200, name
        assert response.headers["cache-control"] == "no-cache"
    assert (await client.get("/static/%2e%2e/main.py")).status_code == 404
    script = await client.get("/static/page.js")
    assert script.headers["content-type"].startswith("text/javascript")


def test_every_element_that_a_script_names_exists() -> None:
    ids = [attributes["id"] for _, attributes in ELEMENTS if "id" in attributes]
    assert len(ids) == len(set(ids))
    for name, script in SCRIPTS.items():
        assert set(re.findall(r'\$\("([^"]+)"\)', script)) <= set(ids), name
    for _, attributes in ELEMENTS:
        for name in ("for", "aria-controls", "aria-labelledby", "aria-describedby"):
            assert attributes.get(name, ids[0]) in ids


def test_every_control_has_a_label() -> None:
    labelled = {attributes.get("for") for tag, attributes in ELEMENTS if tag == "label"}
    for tag, attributes in ELEMENTS:
        if tag in ("select", "textarea", "input") and attributes.get("type") != "checkbox":
            assert attributes["id"] in labelled or "aria-labelledby" in attributes, attributes


def test_every_module_says_what_it_is_for() -> None:
    for name, script in SCRIPTS.items():
        assert script.startswith("// "), name
        assert len(script.splitlines()) < 300, name


def test_every_error_has_a_japanese_sentence() -> None:
    errors = [error for error in vars(app.errors).values() if isinstance(error, type) and issubclass(error, Exception)]
    types = {getattr(error, "error_type", "internal") for error in errors} | {"not_found", "method_not_allowed"}
    table = SCRIPTS["errors.js"].partition("const WARNINGS")[0]
    sentences = dict(re.findall(r'^  (\w+): "([^"]+)"', table, re.MULTILINE))
    assert types <= set(sentences)
    for sentence in sentences.values():
        assert re.fullmatch(r"[^A-Za-z]+。", sentence.replace(" API ", ""))


async def test_the_application_serves_the_page() -> None:
    response = await _client(create_app(Settings())).get("/")
    assert "content-security-policy" in response.headers
    assert "長読み" in response.text
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_an_answer_that_is_no_page_is_not_shown_as_one() -> None:
    """A browser that is led to an answer runs nothing of it and puts it into no frame."""
    client = _client(create_app(Settings()))
    for path in ("/livez", "/nothing", "/openapi.json", "/static/icon.svg", "/metrics"):
        headers = (await client.get(path)).headers
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'", path
        assert headers["x-content-type-options"] == "nosniff"
