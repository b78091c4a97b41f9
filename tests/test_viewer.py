"""The page in a real browser: no errors, no requests to outside, the file's own values, and a cloud that is drawn."""

import io
import re
import shutil
import time
from decimal import Decimal

import numpy as np
import pytest
from PIL import Image

from stereohg.calibration.cameras import StereoCalibration
from stereohg.cli import main
from stereohg.data.motorcycle import CALIBRATION, motorcycle
from stereohg.data.synthetic import SyntheticStereo
from stereohg.files import read_disparity
from stereohg.viewer import write_page

HEIGHT, WIDTH = 48, 96
CALIB = "cam0=[100 0 48; 0 100 24; 0 0 1]\ndoffs=2\nbaseline=500\n"
FLAGS = (
    "--headless=new --no-sandbox --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --use-angle=swiftshader --enable-unsafe-swiftshader"
    " --force-device-scale-factor=1 --window-size=1000,1500"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if chromium is None or driver is None:
        pytest.skip("Chromium and chromedriver are not installed: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def predicted(tmp_path_factory):
    """A pair, its disparity as ``predict`` saves it, and the page of it."""
    folder = tmp_path_factory.mktemp("predicted")
    scene = SyntheticStereo(HEIGHT, WIDTH, max_disp=24, asymmetry=0)[1]
    for side in ("left", "right"):
        Image.fromarray(getattr(scene, side)).save(folder / f"{side}.png")
    (folder / "calib.txt").write_text(CALIB)
    pair = [f"{folder}/left.png", f"{folder}/right.png"]
    options = ["--html", f"{folder}/page.html", "--calibration", f"{folder}/calib.txt", "--left_right_check"]
    assert main(["predict", *pair, "-o", f"{folder}/disparity.png", *options]) == 0
    return folder


def opened(browser, page):
    """Opens a page, waits until it is drawn, and holds what it logged and asked for against what it may."""
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(page.as_uri())
    until = time.monotonic() + 20
    while not browser.execute_script("return document.documentElement.dataset.ready !== undefined"):
        assert time.monotonic() < until, browser.get_log("browser")
        time.sleep(0.05)
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    asked = {
        address
        for entry in browser.get_log("performance")
        if '"Network.requestWillBeSent"' in entry["message"]
        for address in re.findall(r'"url":"([^"]{0,200})', entry["message"])
    }
    assert asked and {address for address in asked if not address.startswith(("data:", page.as_uri()))} == set()


def hover(browser, x, y):
    """Puts the pointer on the middle of a pixel of the picture, and gives what the page then says."""
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    stage = browser.find_element(By.ID, "stage")
    box = stage.rect
    shift = ((x + 0.5) / WIDTH - 0.5) * box["width"], ((y + 0.5) / HEIGHT - 0.5) * box["height"]
    ActionChains(browser, duration=0).move_to_element_with_offset(stage, *map(round, shift)).perform()
    cells = browser.find_elements(By.CSS_SELECTOR, "#readout dd")
    return {cell.get_attribute("id"): cell.text for cell in cells}


def picture_of(browser, selector):
    from selenium.webdriver.common.by import By

    return np.array(
        Image.open(io.BytesIO(browser.find_element(By.CSS_SELECTOR, selector).screenshot_as_png)).convert("RGB")
    )


def test_hover_shows_what_the_file_holds(browser, predicted):
    opened(browser, predicted / "page.html")
    disparity, valid = read_disparity(predicted / "disparity.png")
    assert 0 < np.count_nonzero(~valid) < valid.size / 2
    unknown = np.argwhere(~valid)[0]
    for y, x in np.random.default_rng(0).choice(np.argwhere(valid), 6, replace=False):
        told = hover(browser, x, y)
        assert told["at"] == f"{x}, {y}"
        shown, depth = told["disparity"].removesuffix(" px"), told["depth"].removesuffix(" m")
        assert re.fullmatch(r"\d+\.\d\d", shown)
        assert abs(Decimal(shown) - Decimal(float(disparity[y, x]))) <= Decimal(
            "0.005"
        )  # exactly: a half may go either way
        assert abs(float(depth) - 100 * 0.5 / (disparity[y, x] + 2)) <= 0.005001
        assert re.fullmatch(r"[01]\.\d\d", told["confidence"])
    y, x = unknown
    told = hover(browser, x, y)
    assert told["disparity"] == told["depth"] == "not valid"


def test_every_value_arrives_as_it_is(browser, tmp_path):
    values = np.random.default_rng(0).uniform(0, 300, (HEIGHT, WIDTH)).astype(np.float32)
    left = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    truth = values + np.float32(0.25)
    confidence = np.linspace(0, 1, values.size, dtype=np.float32).reshape(values.shape)
    write_page(tmp_path / "p.html", left, values, confidence=confidence, truth=truth, truth_valid=values > 30)
    opened(browser, tmp_path / "p.html")
    for x, y in ((0, 0), (95, 47), (40, 20), (13, 37)):
        told, value = hover(browser, x, y), values[y, x]
        assert told["disparity"] == f"{value:.2f} px" and told["confidence"] == f"{confidence[y, x]:.2f}"
        assert told["truth"] == (f"{truth[y, x]:.2f} px" if value > 30 else "not valid")
        assert told["error"] == ("0.25 px" if value > 30 else "not valid")
        assert "depth" not in told
    from selenium.webdriver.common.by import By

    assert "focal length is guessed, 96 px (a view 53° wide)" in browser.find_element(By.CLASS_NAME, "note").text


def test_pixels_that_are_not_square_are_told_to_the_cloud(tmp_path):
    left, disparity = np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.full((HEIGHT, WIDTH), 5, np.float32)
    camera = StereoCalibration(100, 0.5, ((WIDTH - 1) / 2, (HEIGHT - 1) / 2), focal_y=50)
    write_page(tmp_path / "p.html", left, disparity, calibration=camera)
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert '"focal": 100' in page and '"focal_y": 50' in page and page.count("scene.focal_y") == 2


def test_the_cloud_is_drawn_turned_and_thinned(browser, predicted):
    from selenium.webdriver import ActionChains, Keys
    from selenium.webdriver.common.by import By

    opened(browser, predicted / "page.html")
    assert "focal length 100.0 px, baseline 0.5 m, doffs 2 px" in browser.find_element(By.CLASS_NAME, "note").text
    browser.execute_script("arguments[0].scrollIntoView()", browser.find_element(By.ID, "cloud"))
    time.sleep(0.3)
    first = picture_of(browser, "#cloud")
    background = first[2, 2]
    drawn = (first != background).any(-1).mean()
    assert drawn > 0.3 and len(np.unique(first.reshape(-1, 3), axis=0)) > 200

    cloud = browser.find_element(By.ID, "cloud")
    ActionChains(browser).move_to_element(cloud).click_and_hold().move_by_offset(120, 30).release().perform()
    time.sleep(0.3)
    assert (picture_of(browser, "#cloud") != first).any(-1).mean() > 0.1
    browser.find_element(By.ID, "reset").click()
    time.sleep(0.3)
    assert (picture_of(browser, "#cloud") != first).any(-1).mean() < 0.01

    browser.find_element(By.ID, "surest").send_keys(Keys.END)
    time.sleep(0.3)
    sure_alone = (picture_of(browser, "#cloud") != background).any(-1).mean()
    assert sure_alone < drawn


def test_the_slider_parts_left_and_disparity(browser, predicted):
    from selenium.webdriver import Keys
    from selenium.webdriver.common.by import By

    opened(browser, predicted / "page.html")
    split = browser.find_element(By.ID, "split")
    split.send_keys(Keys.END)
    left_alone = picture_of(browser, "#stage")
    split.send_keys(Keys.HOME)
    map_alone = picture_of(browser, "#stage")
    row = slice(0, left_alone.shape[0] // 2)  # without the slider's own handle
    assert (left_alone[row] != map_alone[row]).any(-1).mean() > 0.9
    browser.find_element(By.CSS_SELECTOR, "[value=confidence]").send_keys(Keys.SPACE)
    assert (picture_of(browser, "#stage")[row] != map_alone[row]).any(-1).mean() > 0.9


def test_keys_move_the_mark(browser, predicted):
    from selenium.webdriver import Keys
    from selenium.webdriver.common.by import By

    opened(browser, predicted / "page.html")
    stage = browser.find_element(By.ID, "stage")
    stage.send_keys(Keys.ARROW_RIGHT)
    stage.send_keys(Keys.ARROW_UP)
    assert browser.find_element(By.ID, "at").text == f"{WIDTH // 2 + 1}, {HEIGHT // 2 - 1}"


def test_a_name_is_no_markup(browser, tmp_path):
    name = "</title><script>console.error(1)</script>"
    write_page(tmp_path / "p.html", np.zeros((4, 8, 3), np.uint8), np.ones((4, 8), np.float32), title=name)
    opened(browser, tmp_path / "p.html")
    assert browser.title == name


def test_an_empty_map_has_a_page(browser, tmp_path):
    nothing = np.full((4, 8), np.nan, np.float32)
    write_page(tmp_path / "p.html", np.zeros((4, 8, 3), np.uint8), nothing)
    opened(browser, tmp_path / "p.html")


def test_a_street_pair_is_below_15_megabytes(tmp_path):
    left, _, truth, _ = motorcycle()
    noise = np.random.default_rng(0).normal(0, 0.05, (375, 1242)).astype(np.float32)  # deflates no better than answers
    picture, values = np.tile(left, (1, 2, 1))[:375, :1242], np.tile(truth, (1, 2))[:375, :1242] + noise
    write_page(tmp_path / "p.html", picture, values, truth=values, confidence=np.abs(noise))
    assert (tmp_path / "p.html").stat().st_size < 15e6


def test_a_page_for_each_pair_of_folders(predicted, tmp_path, capsys):
    for side in ("left", "right"):
        (tmp_path / side).mkdir()
        for name in "ab":
            shutil.copy(predicted / f"{side}.png", tmp_path / side / f"{name}.png")
    arguments = ["predict", f"{tmp_path}/left", f"{tmp_path}/right", "-o", f"{tmp_path}/out", "--html"]
    assert main([*arguments, f"{tmp_path}/pages"]) == 0
    assert sorted(path.name for path in (tmp_path / "pages").iterdir()) == ["a.html", "b.html"]
    assert main([*arguments, f"{tmp_path}/one.html"]) == 1
    assert "one.html is one file, but there are 2 pairs; give a folder" in capsys.readouterr().err


def test_evaluation_writes_pages_of_its_figures(tmp_path, browser, capsys):
    arguments = ["evaluate", "--data", "motorcycle", "-o", str(tmp_path), "--html", "--max_disp", "80"]
    assert main(arguments) == 1
    assert "give --figures" in capsys.readouterr().err
    assert main([*arguments, "--figures", "1"]) == 0
    page = next(tmp_path.glob("*_worst/001_motorcycle.html"))
    opened(browser, page)
    from selenium.webdriver.common.by import By

    facts = browser.find_element(By.CLASS_NAME, "facts").text
    assert "741 × 500 pixels" in facts and re.search(r"EPE \d+\.\d", facts)
    assert f"baseline {CALIBRATION.baseline:.4g} m" in browser.find_element(By.CLASS_NAME, "note").text


def test_what_makes_no_page_is_told(tmp_path):
    left, values = np.zeros((4, 8, 3), np.uint8), np.ones((4, 8), np.float32)
    with pytest.raises(ValueError, match=r"p.txt would hold a page; name it .html"):
        write_page(tmp_path / "p.txt", left, values)
    with pytest.raises(ValueError, match=r"is 8x4 pixels, and its disparity \(8, 4\)"):
        write_page(tmp_path / "p.html", left, values.T)
    camera = StereoCalibration(100, 0.5, (7.5, 3.5), size=(16, 8))
    with pytest.raises(ValueError, match="the calibration is of 16x8 pictures, and this one is 8x4; if it"):
        write_page(tmp_path / "p.html", left, values, calibration=camera)
    assert not list(tmp_path.iterdir())
