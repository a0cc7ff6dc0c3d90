"""The page of a report in Chromium, from disk: what is heard, what is seen, and what it lets through."""

from __future__ import annotations

import importlib
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import children
import numpy as np
import pytest
import soundfile as sf

import nmfsep

pytestmark = pytest.mark.browser
TRACK = "<img src=x onerror=hacked=1>"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NEEDED = os.environ.get("NMFSEP_TEST_BROWSER") == "needed"  # in CI


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with three stems of eight seconds, their model and page; the track has a hostile name."""
    place = tmp_path_factory.mktemp("page")
    samples, rate = sf.read(children.ROOT / "sample_audio" / "song.wav", stop=8 * 22050)
    sf.write(place / f"{TRACK}.wav", samples, rate, "PCM_16")
    stems = nmfsep.separate(place / f"{TRACK}.wav", components=3, atoms=1, max_iter=40)
    stems.write(place, save_model=True, report=True)
    return place / TRACK


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return Chromium; the tests are skipped where it or playwright is not installed."""
    if CHROMIUM is None and not NEEDED:
        pytest.skip("no Chromium is installed")
    playwright = (
        importlib.import_module("playwright.sync_api") if NEEDED else pytest.importorskip("playwright.sync_api")
    )
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, folder: Path) -> Iterator[Any]:
    """Return the page, loaded; whatever it says on the console or asks for fails the test."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on(
        "request", lambda asked: said.append(asked.url[:80]) if not asked.url.startswith(("file:", "data:")) else 0
    )
    opened.goto((folder / f"{TRACK}.html").as_uri())
    opened.evaluate("Promise.all([report.loaded, report.player.ready])")
    opened.said = said
    yield opened
    assert said == []
    opened.close()


def until(page: Any, condition: str) -> None:
    """Wait until a condition holds; playwright's own way to wait needs eval, which the page forbids."""
    for _ in range(600):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never came true: {condition}")


def heard(page: Any) -> np.ndarray:
    """Return what the page plays from its beginning, (samples, 2)."""
    script = "report.player.render().then((sound) => sound.map((channel) => Array.from(channel)))"
    return np.array(page.evaluate(script)).T


def distance(found: np.ndarray, true: np.ndarray) -> float:
    """Return the energy of the difference as a share of the true sound's."""
    return float(np.sum((found - true) ** 2) / np.sum(true**2))


def stem(folder: Path, *numbers: int) -> np.ndarray:
    return np.sum([sf.read(folder / f"component-{number}.wav")[0] for number in numbers], axis=0)


def test_all_rows_sound_as_the_mixture_sample_by_sample(page, folder):
    mixture, _ = sf.read(folder.parent / f"{TRACK}.wav")
    found = heard(page)
    assert found.shape == mixture.shape
    assert distance(found, mixture) < 0.003
    assert distance(found[1:], mixture[:-1]) > distance(found, mixture) < distance(found[:-1], mixture[1:])
    page.keyboard.press("o")
    original = heard(page)
    assert distance(found, original) < 0.003
    assert not np.array_equal(found, original)


def test_solo_mute_gain_and_groups_change_what_is_heard(page, folder):
    page.get_by_role("button", name="Solo component-2").click()
    assert distance(heard(page), stem(folder, 2)) < 0.01
    page.keyboard.press("1")
    assert distance(heard(page), stem(folder, 1, 2)) < 0.01
    page.keyboard.press("1")
    page.keyboard.press("2")
    page.keyboard.press("Shift+Digit3")
    assert distance(heard(page), stem(folder, 1, 2)) < 0.01
    page.keyboard.press("Shift+Digit3")
    page.get_by_role("slider", name="Gain of component-1 in dB").fill("-6")
    true = stem(folder, 2, 3) + stem(folder, 1) * 10 ** (-6 / 20)
    assert distance(heard(page), true) < 0.01


def test_the_command_writes_the_groups_that_are_heard(page, folder, tmp_path):
    page.get_by_label("Group of component-3").select_option(label="component-1")
    name = page.get_by_label("Name of group 1")
    name.fill("it's both")
    name.press("Enter")
    page.get_by_role("button", name="Solo group it's both").click()
    assert distance(heard(page), stem(folder, 1, 3)) < 0.01
    command = page.locator("#command").inner_text()
    words = shlex.split(command)
    assert words[:2] == ["nmfsep", "render"]
    assert words[3:] == ["--group", "it's both=1,3"]
    done = children.run([*children.NMFSEP, *words[1:], "-o", str(tmp_path)], folder)
    assert done.returncode == 0, done.stderr
    both, _ = sf.read(tmp_path / TRACK / "it's both.wav")
    assert distance(both, stem(folder, 1, 3)) < 1e-6
    page.get_by_label("Group of component-3").select_option("new")
    name = page.get_by_label("Name of group 1")
    name.fill("component-1")
    assert page.locator("#command").inner_text() == command.split(" --group")[0]


def test_playing_goes_on_loops_and_stops(page):
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, "report.player.position() > 0.3")
    box = page.locator("#wave").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.5, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, y, steps=4)
    page.mouse.up()
    assert page.get_by_role("button", name="Loop").get_attribute("aria-pressed") == "true"
    assert page.evaluate("report.player.region") == pytest.approx([4, 4.8], abs=0.05)
    until(page, "report.player.position() >= 4")
    sound = page.evaluate("report.player.render(4, 2).then((sound) => Array.from(sound[0]))")
    region, rate = page.evaluate("report.player.region"), 22050
    period = round(rate * (region[1] - region[0]))
    begin = round(rate * 0.1)
    assert (
        distance(np.array(sound[begin + period : begin + period + 2000]), np.array(sound[begin : begin + 2000])) < 0.3
    )
    page.keyboard.press(" ")
    assert not page.evaluate("report.player.playing")
    page.keyboard.press("Escape")
    assert page.evaluate("report.player.region") is None


def test_pictures_are_not_blank_in_either_theme(page):
    script = """() => Array.from(document.querySelectorAll("canvas"), (canvas) => {
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size;
    })"""
    for step in ("Mask", "Light", "Sound"):
        page.get_by_role("button", name=step, exact=True).click()
        page.wait_for_timeout(100)
        colours = page.evaluate(script)
        assert len(colours) == 3 + 3 * 3 + 2 + 1
        assert min(colours) >= 2, (step, colours)
    assert all("willReadFrequently" in text for text in page.said)  # which is this test's doing
    page.said.clear()


def test_names_are_text_and_nothing_can_be_fetched(page):
    assert page.locator("h1").inner_text() == TRACK == page.title()
    assert page.evaluate("[document.images.length, typeof hacked]") == [0, "undefined"]
    refused = page.evaluate("""() => new Promise((resolve) => {
        document.addEventListener("securitypolicyviolation", (event) => resolve(event.violatedDirective));
        document.body.append(Object.assign(new Image(), {src: "https://example.org/x.png"}));
        setTimeout(() => resolve("nothing"), 2000);
    })""")
    assert refused == "img-src"
    assert any("img-src" in text for text in page.said)
    page.said.clear()


def test_every_control_has_a_name(page):
    unnamed = page.evaluate("""() => Array.from(document.querySelectorAll("button, input, select, canvas, a"))
        .filter((each) => !(each.getAttribute("aria-label") || each.textContent.trim() || each.labels?.length))
        .map((each) => each.outerHTML)""")
    assert unnamed == []


def test_it_fits_a_telephone(page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_template_is_struck(page):
    page.get_by_role("button", name="Hear template 2, component-2").click()
    until(page, "report.player.struck")
    peak = page.evaluate("Math.max(...report.player.struck.buffer.getChannelData(0))")
    assert 0.05 < peak < 1
