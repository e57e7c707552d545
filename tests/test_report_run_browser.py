"""The report of a run in a real browser: slider, zoom, faces, layers and list, by mouse, keyboard and fingers."""

import numpy as np
import pytest
from browsing import chromium, console_errors, requests
from conftest import picture
from drawn_run import DrawnRun, drawn

from odekit.runs.report import store
from odekit.runs.report.run_report import write_run_report

pytestmark = pytest.mark.browser
HOSTILE = "z<img src=x onerror='window.hacked=1'>\u202e\".png"


def drawn_report(base):
    """Two photographs (one with faces and further pictures), an unchanged small picture, and two failures."""
    run = DrawnRun(base)
    mended = {"place": "0", "stage": "mend", "size": [400, 200], "mended": ["blocks"]}
    run.add("b.png", drawn(2, 400, 200), drawn(3, 400, 200), stages=[mended])
    import PIL.Image

    PIL.Image.fromarray(drawn(9)).save(run.out / "a.mask.png")
    run.add_photo("a.png", extras=["a.mask.png"])
    run.add("small.png", picture(1, 64, 64), picture(1, 64, 64))
    run.fail("broken.png", "is not a picture")
    run.fail(HOSTILE, "<script>window.hacked=1</script>")
    return write_run_report(run.out, [run.inputs])


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return drawn_report(tmp_path_factory.mktemp("run")).as_uri()


@pytest.fixture(scope="module")
def driver(page):
    with chromium(1400, 900) as driver:
        yield driver


@pytest.fixture
def browser(driver, page):
    """The page, newly opened at its first picture, a.png."""
    driver.get("about:blank")
    driver.get(page)
    assert title(driver) == "a.png"
    return driver


@pytest.fixture(scope="module")
def phone_driver(page):
    with chromium(390, 844, touch=True) as driver:
        yield driver


@pytest.fixture
def phone(phone_driver, page):
    phone_driver.get("about:blank")
    phone_driver.get(page)
    return phone_driver


# ---- what the page shows


def css(browser, selector):
    from selenium.webdriver.common.by import By

    return browser.find_element(By.CSS_SELECTOR, selector)


def title(browser):
    return css(browser, "section.photo:not([hidden]) h2").text


def line_at(browser):
    """Position of the line in percent, as announced."""
    return int(css(browser, "#handle").get_attribute("aria-valuenow"))


def rectangle(browser, selector):
    """(left, top, width, height) on the screen, in pixels."""
    script = "const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.left, r.top, r.width, r.height]"
    return np.array(browser.execute_script(script, selector), float)


def visible_left(browser):
    """Fraction of the left picture that is visible, from its clip path."""
    script = """
        const image = document.querySelector("#left img").getBoundingClientRect(), stage = document.getElementById("stage").getBoundingClientRect();
        const hidden = parseFloat(getComputedStyle(document.getElementById("left")).clipPath.split(" ")[1]);
        return (stage.right - hidden - image.left) / image.width"""
    return browser.execute_script(script)


def chain(browser):
    from selenium.webdriver.common.action_chains import ActionChains

    return ActionChains(browser)


def press(browser, *keys):
    chain(browser).send_keys(*keys).perform()


def wheel(browser, amount, x=0, y=0):
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    chain(browser).scroll_from_origin(ScrollOrigin.from_element(css(browser, "#stage"), x, y), 0, amount).perform()


def zoom(browser):
    return int(css(browser, "#zoom").text.rstrip(" %"))


# ---- slider


def test_the_slider_is_announced_with_name_and_value(browser):
    handle = css(browser, "#handle")
    assert handle.aria_role == "slider"
    assert handle.accessible_name == "Line between before and after"
    assert handle.get_attribute("aria-valuetext") == "50 % Before, the rest After"


def test_the_picture_fills_the_window(browser):
    stage, image = rectangle(browser, "#stage"), rectangle(browser, "#left img")
    assert stage[3] > 0.7 * browser.execute_script("return window.innerHeight")
    assert image[3] == pytest.approx(stage[3], abs=1)  # 160 x 130 in a wide stage: limited by its height
    assert image[2] / image[3] == pytest.approx(160 / 130, rel=0.01)


def test_the_keyboard_moves_the_line_and_the_picture_with_it(browser):
    from selenium.webdriver.common.keys import Keys

    css(browser, "#handle").send_keys(Keys.HOME)
    assert line_at(browser) == 0
    css(browser, "#handle").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_UP, Keys.PAGE_UP)
    assert line_at(browser) == 12
    assert visible_left(browser) == pytest.approx(0.12, abs=0.01)
    css(browser, "#handle").send_keys(Keys.END)
    assert line_at(browser) == 100
    assert visible_left(browser) == pytest.approx(1, abs=0.01)
    css(browser, "#handle").send_keys(Keys.ARROW_LEFT, Keys.ARROW_DOWN, Keys.PAGE_DOWN)
    assert line_at(browser) == 88


def test_arrows_move_it_without_focus(browser):
    from selenium.webdriver.common.keys import Keys

    press(browser, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert line_at(browser) == 48


def test_the_mouse_drags_it_within_the_picture(browser):
    width = int(rectangle(browser, "#left img")[2])
    chain(browser).click_and_hold(css(browser, "#handle")).move_by_offset(width // 4, 30).release().perform()
    assert line_at(browser) == pytest.approx(75, abs=1)
    assert visible_left(browser) == pytest.approx(0.75, abs=0.01)
    chain(browser).move_to_element_with_offset(css(browser, "#stage"), -width // 4, 0).click().perform()
    assert line_at(browser) == pytest.approx(25, abs=1)


def touch(browser, *paths):
    """Fingers that touch, move and lift at the same time; each path is a start and an end from the stage's middle."""
    from selenium.webdriver.common.actions.action_builder import ActionBuilder
    from selenium.webdriver.common.actions.interaction import POINTER_TOUCH
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    actions = ActionBuilder(browser, mouse=PointerInput(POINTER_TOUCH, "finger0"), duration=50)
    fingers = [actions.pointer_action]
    for i in range(1, len(paths)):
        fingers.append(_finger(actions.add_pointer_input(POINTER_TOUCH, f"finger{i}")))
    stage = css(browser, "#stage")
    for finger, (start, _) in zip(fingers, paths, strict=True):
        finger.move_to(stage, *start)
        finger.pointer_down()
    for finger, (_, end) in zip(fingers, paths, strict=True):
        finger.move_to(stage, *end)
        finger.pointer_up()
    actions.perform()


def _finger(source):
    from selenium.webdriver.common.actions.pointer_actions import PointerActions

    return PointerActions(source, 50)


def test_a_finger_moves_it(phone):
    touch(phone, ((0, 0), (97, 0)))
    assert line_at(phone) == pytest.approx(75, abs=2)


# ---- zoom


def test_buttons_and_keys_zoom_both_pictures_alike(browser):
    fitted = zoom(browser)
    css(browser, "#in").click()
    press(browser, "+")
    assert zoom(browser) == pytest.approx(2.25 * fitted, rel=0.01)
    np.testing.assert_array_equal(rectangle(browser, "#left img"), rectangle(browser, "#right img"))
    press(browser, "-", "0")
    assert zoom(browser) == fitted


def test_the_wheel_zooms_at_the_pointer(browser):
    stage = rectangle(browser, "#stage")
    wheel(browser, -500)
    before = rectangle(browser, "#left img")
    wheel(browser, -200, 120, 80)
    after = rectangle(browser, "#left img")
    assert after[2] == pytest.approx(before[2] * np.exp(0.3), rel=0.01)
    point = stage[:2] + stage[2:] / 2 + (120, 80)
    np.testing.assert_allclose((point - before[:2]) / before[2:], (point - after[:2]) / after[2:], atol=0.005)
    np.testing.assert_array_equal(after, rectangle(browser, "#right img"))


def test_at_its_whole_size_the_wheel_scrolls_to_the_faces_instead(browser):
    fitted = zoom(browser)
    wheel(browser, 300)
    browser.execute_async_script("setTimeout(arguments[0], 400)")
    assert browser.execute_script("return window.scrollY") > 100
    assert zoom(browser) == fitted


def test_a_zoomed_picture_is_dragged_and_the_line_stays(browser):
    browser.execute_script("for (let i = 0; i < 4; i++) document.getElementById('in').click()")
    before = rectangle(browser, "#left img")
    chain(browser).move_to_element_with_offset(css(browser, "#stage"), 200, 100).click_and_hold().move_by_offset(-60, -40).release().perform()  # fmt: skip
    np.testing.assert_allclose(rectangle(browser, "#left img") - before, [-60, -40, 0, 0], atol=1)
    np.testing.assert_array_equal(rectangle(browser, "#left img"), rectangle(browser, "#right img"))
    assert line_at(browser) == 50


def test_it_cannot_be_dragged_away(browser):
    browser.execute_script("for (let i = 0; i < 4; i++) document.getElementById('in').click()")
    for _ in range(6):
        chain(browser).move_to_element_with_offset(css(browser, "#stage"), -300, -200).click_and_hold().move_by_offset(500, 400).release().perform()  # fmt: skip
    np.testing.assert_allclose(rectangle(browser, "#left img")[:2], rectangle(browser, "#stage")[:2], atol=1)


def test_two_fingers_zoom(phone):
    fitted = zoom(phone)
    touch(phone, ((-30, 0), (-90, 0)), ((30, 0), (90, 0)))
    assert zoom(phone) > 1.8 * fitted


def test_a_face_is_shown_large(browser):
    fitted = zoom(browser)
    browser.execute_script("document.querySelectorAll('section:not([hidden]) .locate')[1].click()")
    css(browser, "#faces").click()
    stage, box = rectangle(browser, "#stage"), rectangle(browser, ".box:nth-child(2)")
    assert (box[:2] > stage[:2]).all()
    assert (box[:2] + box[2:] < stage[:2] + stage[2:]).all()
    assert box[3] > 0.45 * stage[3]
    assert zoom(browser) > fitted


# ---- faces and layers


def test_boxes_of_faces_are_switched_on_over_the_picture(browser):
    assert not css(browser, "#boxes").is_displayed()
    css(browser, "#faces").click()
    assert css(browser, "#faces").get_attribute("aria-pressed") == "true"
    script = "return [...document.querySelectorAll('.box')].map((box) => [box.textContent, getComputedStyle(box).borderTopColor])"
    texts, colours = zip(*browser.execute_script(script), strict=True)
    assert texts == ("1 · 0.99", "2 · 0.91 · left: good enough", "3 · 0.70 · left: too small (18 px < 24)")
    assert len(set(colours)) == 3
    image, box = rectangle(browser, "#left img"), rectangle(browser, ".box")
    expected = image[:2] + image[2:] * (20 / 160, 30 / 130)
    np.testing.assert_allclose(box[:2], expected, atol=1)
    np.testing.assert_allclose(box[2:], image[2:] * (30 / 160, 36 / 130), atol=1)
    assert css(browser, "#legend").text.split("\n") == ["restoredleft as it wasleft out"]
    press(browser, "f")
    assert not css(browser, "#boxes").is_displayed()


def test_boxes_stay_on_the_faces_when_zoomed(browser):
    press(browser, "f", "+", "+")
    image, box = rectangle(browser, "#left img"), rectangle(browser, ".box")
    np.testing.assert_allclose(box[:2], image[:2] + image[2:] * (20 / 160, 30 / 130), atol=1)


def test_any_layer_can_be_shown_on_either_side(browser):
    from selenium.webdriver.support.ui import Select

    left = Select(css(browser, "#left-layer"))
    assert [option.text for option in left.options] == ["Before", "After", "mask"]
    before = css(browser, "#left img").get_attribute("src")
    left.select_by_visible_text("mask")
    assert css(browser, "#left-label").text == "mask"
    assert css(browser, "#left img").get_attribute("src") != before
    assert css(browser, "#handle").get_attribute("aria-valuetext") == "50 % mask, the rest After"


def test_small_pictures_are_pixelated_and_large_ones_smooth_until_switched(browser):
    rendering = "return getComputedStyle(document.querySelector('#left img')).imageRendering"
    assert browser.execute_script(rendering) == "auto"
    browser.execute_script("document.querySelectorAll('#list a')[3].click()")
    assert title(browser) == "small.png"
    assert browser.execute_script(rendering) == "pixelated"
    assert rectangle(browser, "#left img")[3] > 400
    css(browser, "#pixels").click()
    assert browser.execute_script(rendering) == "auto"


def test_crops_are_side_by_side_and_at_least_256_pixels_wide(browser):
    browser.execute_script("window.scrollTo(0, 800)")
    first, second = (rectangle(browser, f".crops figure:nth-child({i}) img") for i in (1, 2))
    assert first[2] >= 256
    np.testing.assert_allclose(first[[1, 2, 3]], second[[1, 2, 3]], atol=1)
    assert second[0] > first[0]


# ---- list


def test_keys_and_buttons_go_through_the_pictures(browser):
    press(browser, "n")
    assert title(browser) == "b.png"
    assert css(browser, "#position").text == "2 of 5"
    css(browser, "#next").click()
    assert title(browser) == "broken.png"
    assert not css(browser, "#stage").is_displayed()
    press(browser, "p", "p", "p")
    assert title(browser) == "a.png"
    assert css(browser, "#list a[aria-current]").text.startswith("a.png")


def test_a_filter_leaves_the_pictures_of_one_kind(browser):
    seen = {}
    for kind in ("changed", "nothing", "failed"):
        css(browser, f"[data-filter={kind}]").click()
        names = "return [...document.querySelectorAll('#list li:not([hidden]) .name')].map((name) => name.textContent)"
        seen[kind] = browser.execute_script(names)
        assert title(browser) == seen[kind][0]
        assert css(browser, "#position").text == f"1 of {len(seen[kind])}"
    assert seen["changed"] == ["a.png", "b.png"]
    assert seen["nothing"] == ["small.png"]
    assert seen["failed"] == ["broken.png", HOSTILE.replace("\u202e", "\\u202e")]
    assert css(browser, "section:not([hidden]) .line").text == "is not a picture"


def test_a_picture_is_found_by_its_name(browser):
    css(browser, "#find").send_keys("SMALL")
    assert title(browser) == "small.png"
    css(browser, "#find").send_keys("x")
    assert css(browser, "#none").is_displayed()


def test_the_address_names_the_picture(browser, page):
    browser.get(page + "#4")
    browser.refresh()
    assert title(browser) == "small.png"


def test_on_a_phone_nothing_is_wider_than_the_screen_and_the_list_is_a_drawer(phone):
    assert phone.execute_script("return document.documentElement.scrollWidth") <= 390
    assert not css(phone, "#list").is_displayed()
    css(phone, "#menu").click()
    phone.execute_async_script("setTimeout(arguments[0], 300)")
    phone.execute_script("document.querySelectorAll('#list a')[1].click()")
    assert title(phone) == "b.png"
    assert css(phone, "#menu").get_attribute("aria-expanded") == "false"


# ---- safety


def test_only_the_picture_that_is_shown_is_decoded(browser):
    sources = "return document.querySelectorAll('section[hidden] img[src]').length"
    assert browser.execute_script(sources) == 0
    press(browser, "n")
    assert browser.execute_script(sources) == 0


def test_pictures_beside_the_page_are_shown(driver, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "MAX_EMBEDDED", 1000)
    driver.get(drawn_report(tmp_path).as_uri())
    driver.execute_async_script("setTimeout(arguments[0], 300)")
    sizes = "return [...document.querySelectorAll('#viewer img, section:not([hidden]) .crops img')].map((i) => [i.src.startsWith('file:'), i.naturalWidth > 0])"
    assert driver.execute_script(sizes) == [[True, True]] * 7
    assert console_errors(driver) == []


def test_the_console_is_silent_nothing_is_requested_and_nothing_of_a_name_runs(browser):
    requests(browser)
    console_errors(browser)
    browser.refresh()
    for _ in range(5):
        press(browser, "n", "f", "+")
    assert browser.execute_script("return window.hacked") is None
    assert console_errors(browser) == []
    urls = requests(browser)
    assert urls
    assert all(url.startswith(("file:", "data:")) for url in urls)
