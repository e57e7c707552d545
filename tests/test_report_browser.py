"""A page of tables and pictures in a real browser: sliders move by mouse, touch and keyboard, tables sort, and nothing else happens."""

import pytest
from browsing import chromium, console_errors, requests

from odekit.runs.report.page import BeforeAfter, Cell, Page, Table, write

pytestmark = pytest.mark.browser
DOT = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A page of two pairs and a table, open in Chromium."""
    rows = [[Cell(n, k), Cell(str(v), v)] for n, k, v in (("b", "b", 9.0), ("a", "a", 10.0), ("c", "c", float("nan")))]
    pairs = [BeforeAfter(name, DOT, DOT, anchor=name, record="{}") for name in ("one", "two")]
    page = write(Page("Test", tables=[Table("T", ("name", "value"), rows)], pairs=pairs), tmp_path_factory.mktemp("page") / "report.html")  # fmt: skip
    with chromium(900, 900) as driver:
        driver.get(page.as_uri())
        yield driver


def cut(browser):
    return browser.execute_script("return document.querySelector('.pair').style.getPropertyValue('--cut')")


def clip(browser):
    return browser.execute_script("return getComputedStyle(document.querySelector('.pair .before')).clipPath")


def slider(browser):
    from selenium.webdriver.common.by import By

    found = browser.find_element(By.CSS_SELECTOR, ".pair input")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
    return found


def test_the_keyboard_moves_the_slider_and_the_picture_with_it(browser):
    from selenium.webdriver.common.keys import Keys

    slider(browser).send_keys(Keys.HOME)
    assert cut(browser) == "0%"
    slider(browser).send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert cut(browser) == "2%"
    before = clip(browser)
    slider(browser).send_keys(Keys.END)
    assert cut(browser) == "100%"
    assert clip(browser) != before


def test_the_mouse_drags_it(browser):
    from selenium.webdriver.common.action_chains import ActionChains

    target = slider(browser)
    width = target.size["width"]
    ActionChains(browser).move_to_element_with_offset(target, -width // 4, 0).click_and_hold().move_by_offset(width // 2, 0).release().perform()  # fmt: skip
    assert 65 <= int(cut(browser).rstrip("%")) <= 85


def test_a_finger_moves_it(browser):
    from selenium.webdriver.common.actions.action_builder import ActionBuilder
    from selenium.webdriver.common.actions.interaction import POINTER_TOUCH
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    target = slider(browser)
    actions = ActionBuilder(browser, mouse=PointerInput(POINTER_TOUCH, "finger"))
    point, width = actions.pointer_action, target.size["width"]
    point.move_to(target, width // 4, 0)
    point.pointer_down()
    point.move_to(target, -width // 4, 0)
    point.pointer_up()
    actions.perform()
    assert 15 <= int(cut(browser).rstrip("%")) <= 35


def column(browser, number):
    script = "return [...document.querySelectorAll('tbody tr')].map((row) => row.cells[arguments[0]].textContent)"
    return browser.execute_script(script, number)


def test_a_click_sorts_a_column_up_and_another_one_down(browser):
    from selenium.webdriver.common.by import By

    name, value = browser.find_elements(By.CSS_SELECTOR, "th button")
    name.click()
    assert column(browser, 0) == ["a", "b", "c"]
    value.click()
    assert column(browser, 1) == ["9.0", "10.0", "nan"]  # as numbers, and what is none comes last
    value.click()
    assert column(browser, 1) == ["10.0", "9.0", "nan"]
    assert value.find_element(By.XPATH, "..").get_attribute("aria-sort") == "descending"


def test_the_console_is_silent_and_no_request_left_the_page(browser):
    assert console_errors(browser) == []
    urls = requests(browser)
    assert urls
    assert all(url.startswith(("file:", "data:")) for url in urls)
