"""The evidence behind a row in a real browser: followed from the unit, checked there, damaged in the store, and found out."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from collector.people import Role
from tests.live.browser import (
    PASSWORD,
    SOON_MS,
    Centre,
    control_room,
    dress,
    faults,
    looked_at,
    shots,
)
from tests.live.proof_maker import log_of

pytestmark = pytest.mark.live

PEOPLE = {"sv-01": Role.SUPERVISOR, "au-01": Role.AUDITOR, "of-31": Role.OFFICER}


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    with control_room(tmp_path_factory.mktemp("evidence"), PEOPLE) as room:
        yield room


@pytest.fixture(autouse=True)
def everybody_leaves(centre: Centre) -> Iterator[None]:
    yield
    centre.leave()


def said(page: Page) -> dict[str, str]:
    """Each step with what became of it: holds, fails or open."""
    rows = page.locator("tr[data-step]")
    expect(rows).to_have_count(13, timeout=SOON_MS)
    found = rows.evaluate_all("all => all.map(one => [one.dataset.step, one.classList[0]])")
    return {str(name): str(state) for name, state in found}


def check(page: Page) -> dict[str, str]:
    """Press it, as who has no mouse."""
    button = page.get_by_role("button", name="Check here")
    button.focus()
    page.keyboard.press("Enter")
    return said(page)


def test_from_a_row_of_custody_to_its_batch_and_every_step_is_reckoned_in_the_browser(
    centre: Centre, tmp_path: Path
) -> None:
    page = centre.seat(with_axe=True)
    centre.log_in("sv-01", page)
    assert centre.site.hardware is not None
    centre.site.hardware.do("cut")
    expect(page.locator(".row.p1").first).to_be_visible(timeout=2 * SOON_MS)
    page.goto(f"{centre.url}/unit/1")
    row = page.locator("tbody tr", has_text="Seal opened without order")
    row.locator("a.badge").click(timeout=SOON_MS)
    expect(page).to_have_url(re.compile(r"/evidence/truck-1\.[0-9a-f]{32}\.\d+"))
    expect(page.get_by_role("heading", level=1)).to_have_text(
        re.compile(r"Evidence: batch \d+ of truck-1"), timeout=SOON_MS
    )
    expect(page.locator(".badge")).to_have_text(re.compile("PENDING|UNLOGGED"))
    steps = check(page)
    assert [name for name, state in steps.items() if state == "fails"] == []
    assert [name for name, state in steps.items() if state == "holds"][:7] == [
        *("form", "hash", "key", "signature", "header", "head", "link")
    ]
    assert steps["proof"] == "open"  # no public log runs here, and nobody has brought a proof
    expect(page.get_by_role("status").filter(has_text="holds")).to_be_visible()

    with page.expect_download() as file:
        page.get_by_role("button", name="Signed bytes as a file").click()
    envelope = file.value.path().read_bytes()
    assert file.value.suggested_filename.endswith(".cose")
    made = log_of(envelope)
    for name, text in (("proof", made.proof), ("policy", made.policy)):
        (tmp_path / f"{name}.txt").write_text(text)
    page.locator("summary").click()
    page.set_input_files("input[name=proof]", tmp_path / "proof.txt")
    page.set_input_files("input[name=policy]", tmp_path / "policy.txt")
    steps = check(page)
    expect(page.get_by_text("The quorum of your policy is there.")).to_be_visible(timeout=SOON_MS)
    logged = {name: check(page)[name] for name in ("proof", "leaf", "log", "witnesses", "path")}
    assert set(logged.values()) == {"holds"}
    looked_at(page, "evidence")
    dress(page, "en", "dark")
    page.set_input_files("input[name=proof]", [])
    expect(page.locator("tr[data-step]")).to_have_count(0)  # that was found with another file
    (tmp_path / "other.txt").write_text(made.proof.replace("index 1", "index 0"))
    page.set_input_files("input[name=proof]", tmp_path / "other.txt")
    page.get_by_role("button", name="Check here").click()
    expect(page.locator("tr[data-step=path]")).to_have_class(re.compile("fails"), timeout=SOON_MS)


def test_one_byte_changed_in_the_store_is_found_by_the_centre_and_by_the_browser(
    centre: Centre,
) -> None:
    with sqlite3.connect(centre.site.site.store) as store:
        chain, number, envelope = store.execute(
            "select chain.chain_id, batch.batch_no, batch.envelope from batch"
            " join chain on chain.unit_no = batch.unit_no and chain.ordinal = batch.chain"
            " where batch.batch_no = 1"
        ).fetchone()
        at = len(envelope) - 70  # in the body, before the signature
        damaged = envelope[:at] + bytes([envelope[at] ^ 1]) + envelope[at + 1 :]
        store.execute("update batch set envelope = ? where batch_no = 1", (damaged,))
    page = centre.log_in(
        "au-01", centre.seat(with_axe=True), path=f"/evidence/truck-1.{chain.hex()}.{number}"
    )
    expect(page.locator(".badge")).to_have_text("BROKEN", timeout=SOON_MS)
    expect(page.locator(".broken")).to_contain_text("the signature of the unit")
    steps = check(page)
    failed = [name for name, state in steps.items() if state == "fails"]
    assert failed == ["signature", "head", "link_after"]
    expect(page.get_by_role("status").filter(has_text="3 steps fail.")).to_be_visible()
    for theme in ("light", "dark"):
        dress(page, "en", theme)
        assert faults(page) == []
        page.screenshot(path=shots(f"evidence-broken-{theme}"))
    with sqlite3.connect(centre.site.site.store) as store:
        store.execute("update batch set envelope = ? where batch_no = 1", (envelope,))
    page.reload()
    expect(page.locator(".badge")).to_have_text(re.compile("PENDING|UNLOGGED"), timeout=SOON_MS)
    page.goto(f"{centre.url}/evidence/truck-1.{chain.hex()}.999999")
    expect(page.locator("main").get_by_role("alert")).to_have_text(
        "There is no such batch here, or it is not yours.", timeout=SOON_MS
    )
    page.screenshot(path=shots("evidence-none"))


def test_who_may_not_see_evidence_is_told_so(centre: Centre) -> None:
    page = centre.seat()
    page.goto(f"{centre.url}/evidence/truck-1.{'0' * 32}.1")
    page.fill("input[name=user]", "of-31")
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit]")
    expect(page.get_by_text("Your role does not open this screen.")).to_be_visible(timeout=SOON_MS)
