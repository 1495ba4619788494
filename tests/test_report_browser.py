"""The report in a real browser: on a phone and a laptop, by keyboard and pointer, in both schemes, and on paper."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser
from PIL import Image
from runs import film, scored, trained

from framecast.report import folders, paper
from framecast.report.page import page
from framecast.report.panels import error_picture

PROGRAM = next((found for found in map(shutil.which, paper.BROWSERS) if found), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium here; apt-get install chromium brings one"),
]
EVIL = "<img src=x onerror=window.hurt=1>"
PHONE, LAPTOP = (390, 844), (1280, 800)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    made = Browser(str(PROGRAM), tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scored runs, one with a name that is markup and with a diagnosis, and one that died."""
    root = tmp_path_factory.mktemp("report")
    scored(trained(root / "a-name-that-is-longer-than-a-phone-is-wide-and-has-no-place-to-break_at_all"))
    file = scored(trained(root / EVIL, beta="monotonic", tfr="0.5"), shift=3)
    found = json.loads(file.read_text())
    found["diagnosis"] = {"pose_cvae": {"psnr": 20.0, "kl": [0.1, 2.0, 0.0], "active": 2, "sigma": 0.1}}
    file.write_text(json.dumps(found))
    trained(root / "died", rows=20)
    (root / "page.html").write_text(page(folders.find([root]), EVIL))
    return root / "page.html"


def opened(browser: Browser, report: Path, size: tuple[int, int] = LAPTOP, dark: bool = False) -> Browser:
    browser.show(report, *size, dark)
    browser.until("document.body.dataset.player === 'ready' && document.body.dataset.strips === 'ready'")
    return browser


def frame(browser: Browser) -> int:
    return int(browser.value("document.getElementById('scrub').value")) + 1


def pixels(browser: Browser, number: int) -> np.ndarray:
    """Of a pane's canvas, (H, W, 3)."""
    found = browser.value(f"""(() => {{
        const canvas = document.querySelectorAll('#panes canvas')[{number}];
        const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        return [canvas.height, canvas.width, Array.from(data)];
    }})()""")
    return np.array(found[2], np.uint8).reshape(found[0], found[1], 4)[..., :3]


@pytest.mark.parametrize("size", [PHONE, LAPTOP])
@pytest.mark.parametrize("dark", [False, True])
def test_it_is_whole_without_network_errors_or_scrolling_sideways(
    browser: Browser, report: Path, tmp_path: Path, size: tuple[int, int], dark: bool
) -> None:
    opened(browser, report, size, dark)
    assert browser.value("document.documentElement.scrollWidth") <= size[0]
    too_wide = f"[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > {size[0] + 1})"
    outside = f"{too_wide}.filter(e => !e.closest('.scroll, svg')).map(e => e.outerHTML.slice(0, 80))"
    assert browser.value(outside) == []
    asked = [e["params"]["request"]["url"] for e in browser.events if e["method"] == "Network.requestWillBeSent"]
    assert asked and all(url.startswith(("file:", "data:")) for url in asked)
    wrong = [e for e in browser.events if e["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")]
    assert not wrong
    assert browser.value(
        "[...document.querySelectorAll('.chart')].every(c => c.querySelector('svg path, svg rect, svg circle'))"
    )
    assert browser.value("window.hurt") is None
    ground = browser.value("getComputedStyle(document.body).backgroundColor")
    light = np.mean([int(part) for part in ground[4:-1].split(",")]) > 128
    assert light != dark
    browser.picture(tmp_path / "page.png", whole=True)
    with Image.open(tmp_path / "page.png") as picture:
        assert picture.height > 2000 and np.asarray(picture.convert("L")).std() > 10


def test_the_player_shows_exactly_the_frame_asked_for(browser: Browser, report: Path) -> None:
    opened(browser, report)
    browser.value("setting.value = setting.options[1].value; setting.dispatchEvent(new Event('change'))")
    browser.value("sequence.value = '0/1'; sequence.dispatchEvent(new Event('change'))")
    browser.until("document.getElementById('sequence').value === '0/1'")
    browser.value("new Promise(done => setTimeout(done, 300))")
    browser.value("scrub.value = 4; scrub.dispatchEvent(new Event('input'))")
    truth = film(6, 1)
    assert np.array_equal(pixels(browser, 0), truth[4])
    predicted = pixels(browser, 1)
    wanted = error_picture(truth[4:5], predicted[None])[0]
    near = np.abs(pixels(browser, 2).astype(int) - wanted) <= 8  # a mean that lies between two greys
    assert near.all()
    psnr = 10 * np.log10(1 / ((predicted / 255.0 - truth[4] / 255.0) ** 2).mean())
    told = browser.value("document.querySelectorAll('.pane b')[1].textContent")
    assert float(told.split()[0]) == pytest.approx(psnr, abs=0.006)


def test_keys_play_step_and_jump(browser: Browser, report: Path) -> None:
    opened(browser, report)
    browser.value("document.getElementById('player').focus()")
    browser.press("ArrowRight", 39)
    browser.press("ArrowRight", 39)
    assert frame(browser) == 3
    browser.press("ArrowLeft", 37)
    assert frame(browser) == 2
    browser.press("End", 35)
    assert frame(browser) == 6
    browser.press("Home", 36)
    assert frame(browser) == 1
    browser.press(" ", 32, " ")
    browser.until("Number(document.getElementById('scrub').value) === 5")  # it plays to the end, and stops there
    browser.until("document.getElementById('play').getAttribute('aria-label') === 'Play'")


def cursor(browser: Browser) -> float:
    return float(browser.value("document.querySelector('#curve .cursor').getAttribute('x1')"))


def test_the_cursor_runs_along_the_curve_and_can_be_dragged(browser: Browser, report: Path) -> None:
    opened(browser, report)
    browser.value("document.getElementById('curve').scrollIntoView({block: 'center', behavior: 'instant'})")
    first = cursor(browser)
    browser.press("End", 35)
    assert cursor(browser) > first + 100
    box: dict[str, Any] = browser.value("document.querySelector('#curve svg').getBoundingClientRect().toJSON()")
    about = {"x": box["x"] + 0.45 * box["width"], "y": box["y"] + 60, "button": "left", "clickCount": 1}
    browser.ask("Input.dispatchMouseEvent", type="mousePressed", **about)
    browser.ask("Input.dispatchMouseEvent", type="mouseReleased", **about)
    assert 2 <= frame(browser) <= 4


def test_all_settings_stand_side_by_side(browser: Browser, report: Path) -> None:
    opened(browser, report)
    browser.value("setting.value = [...setting.options].at(-1).value; setting.dispatchEvent(new Event('change'))")
    browser.until("document.querySelectorAll('#panes canvas').length === 3")
    assert browser.value("[...document.querySelectorAll('#panes span')].map(s => s.textContent)")[1:] == [EVIL] + [
        "a-name-that-is-longer-than-a-phone-is-wide-and-has-no-place-to-break_at_all"
    ]


def test_a_setting_can_be_hidden(browser: Browser, report: Path) -> None:
    opened(browser, report)
    lines = "document.querySelectorAll('[data-chart=\"frames\"] path').length"
    before = browser.value(lines)
    browser.value("document.querySelector('.legend button').click()")
    assert browser.value(lines) < before


def test_it_prints(report: Path, tmp_path: Path) -> None:
    path = paper.print_pdf(str(PROGRAM), report, tmp_path / "page.pdf")
    data = path.read_bytes()
    assert data.startswith(b"%PDF") and data.count(b"/Type /Page\n") + data.count(b"/Type /Page ") >= 2
