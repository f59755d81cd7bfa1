"""People, without a store: rights, the life of a session, passwords, the second factor, limits."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, strategies as st

from collector.people import Actor, Role, is_scope, is_user_id, passwords, sees, totp
from collector.people.authorize import RIGHTS, Kept, Right, authorize
from collector.people.buckets import LOGIN_ACCOUNT, LOGIN_ADDRESS, REQUESTS, Buckets, Rate, seconds
from collector.people.sessions import (
    COOKIES,
    DAY_MS,
    HOUR_MS,
    LIFE_MS,
    MINUTE_MS,
    SHIFT_MS,
    STEP_UP_MS,
    End,
    Kind,
    Session,
    actor_of,
    end_of,
    id_of,
    input_is_due,
    is_narrowed,
    is_stepped_up,
    opened,
)

T0_MS = 1_795_330_000_000
ANNA = Actor(
    user_id="anna",
    role=Role.OPERATOR,
    scope="",
    desk="a1",
    session="00" * 32,
    step_up_ms=None,
    narrowed=False,
)


def session(kind: Kind = Kind.CONSOLE) -> Session:
    return opened(
        "secret", kind, user_id="anna", role=Role.OPERATOR, scope="", desk="", now_ms=T0_MS
    )


# scopes and names


@pytest.mark.parametrize(
    ("scope", "of", "is_seen"),
    [
        ("", "", True),
        ("", "uz.south", True),
        ("uz.south", "uz.south", True),
        ("uz.south", "uz.south.guzor", True),
        ("uz.south", "uz.southeast", False),
        ("uz.south", "uz", False),
        ("uz.south", "", False),
    ],
)
def test_a_scope_sees_itself_and_what_lies_below(scope: str, of: str, *, is_seen: bool) -> None:
    assert sees(scope, of) is is_seen


@pytest.mark.parametrize("text", ["", "uz", "uz.south.guzor-2"])
def test_a_scope_is_dotted_parts(text: str) -> None:
    assert is_scope(text)


@pytest.mark.parametrize("text", [".", "uz.", "Uz", "uz..south", "uz%", "a." * 9 + "a", "uz\n"])
def test_other_texts_are_no_scope(text: str) -> None:
    assert not is_scope(text)


@pytest.mark.parametrize("text", ["os:root", "kiosk:wall", "Anna", "a", "1anna", "anna ", "anna\n"])
def test_names_that_we_give_ourselves_are_nobodys(text: str) -> None:
    assert not is_user_id(text)
    assert is_user_id("anna.k-2")


# rights


def test_without_a_row_nobody_may() -> None:
    denied = authorize(ANNA, None, T0_MS)
    assert denied is not None
    assert (denied.status, denied.code) == (403, "no_right")


@pytest.mark.parametrize(("role", "row"), list(product(Role, RIGHTS.values())))
def test_a_role_may_what_its_row_says_and_nothing_else(role: Role, row: Right) -> None:
    actor = replace(ANNA, role=role, step_up_ms=T0_MS)
    may = authorize(actor, row, T0_MS) is None
    assert may == (row.is_open or role in row.roles)


@pytest.mark.parametrize(
    "name", ["fences", "fences/versions", "fences/proposals", "handover", "admin/enrolments"]
)
def test_what_an_open_screen_asks_every_few_seconds_keeps_no_session_awake(name: str) -> None:
    row = RIGHTS["GET", f"/api/v1/{name}"]
    assert not row.is_input  # else whoever leaves that screen open never narrows
    assert row.goes_on  # and whoever has narrowed is not asked for his password every few seconds


@pytest.mark.parametrize("row", [row for row in RIGHTS.values() if not row.is_open])
def test_a_stranger_may_nothing_that_is_not_open(row: Right) -> None:
    denied = authorize(None, row, T0_MS)
    assert denied is not None
    assert denied.status == 401


def test_a_unit_and_an_officer_have_no_room_of_the_console() -> None:
    for (method, path), row in RIGHTS.items():
        assert Role.UNIT not in row.roles, (method, path)
        if Role.OFFICER in row.roles:
            assert not path.startswith(("/api/v1/units", "/api/v1/alerts", "/api/v1/admin"))


def test_an_admin_sees_no_track() -> None:
    for row in RIGHTS.values():
        if row.kept in (Kept.TRACK, Kept.EVIDENCE, Kept.EXPORT):
            assert Role.ADMIN not in row.roles


def test_an_auditor_changes_nothing_but_his_own_session() -> None:
    questions = ("/api/v1/units/labels",)  # two hundred numbers are too long for a GET
    for (method, path), row in RIGHTS.items():
        if method != "GET" and Role.AUDITOR in row.roles and path not in questions:
            assert path.startswith(
                ("/api/v1/me", "/api/v1/log", "/api/v1/step-up", "/api/v1/enter", "/o/logout")
            )


@pytest.mark.parametrize(
    ("actor", "row", "code"),
    [
        (replace(ANNA, narrowed=True), Right(roles=frozenset({Role.OPERATOR})), "narrowed"),
        (
            replace(ANNA, narrowed=True),
            Right(roles=frozenset({Role.OPERATOR}), goes_on=True),
            None,
        ),
        (
            replace(ANNA, read_only=True),
            Right(roles=frozenset({Role.OPERATOR})),
            "read_only_session",
        ),
        (
            replace(ANNA, scope="uz"),
            Right(roles=frozenset({Role.OPERATOR}), whole=True),
            "not_whole",
        ),
        (ANNA, Right(roles=frozenset({Role.OPERATOR}), step_up=True), "step_up"),
        (
            replace(ANNA, step_up_ms=T0_MS - STEP_UP_MS + 1),
            Right(roles=frozenset({Role.OPERATOR}), step_up=True),
            None,
        ),
        (
            replace(ANNA, step_up_ms=T0_MS - STEP_UP_MS),
            Right(roles=frozenset({Role.OPERATOR}), step_up=True),
            "step_up",
        ),
    ],
)
def test_a_right_may_ask_for_more_than_a_role(actor: Actor, row: Right, code: str | None) -> None:
    denied = authorize(actor, row, T0_MS)
    assert (None if denied is None else denied.code) == code


# sessions


def test_a_session_ends_with_the_shift_and_a_walls_after_a_month() -> None:
    assert end_of(session(), T0_MS + SHIFT_MS - 1) is None
    assert end_of(session(), T0_MS + SHIFT_MS) is End.EXPIRED
    assert end_of(session(Kind.KIOSK), T0_MS + 30 * DAY_MS - 1) is None
    assert end_of(replace(session(), ended_ms=T0_MS), T0_MS) is End.ENDED


@pytest.mark.parametrize(
    ("kind", "idle_ms"),
    [(Kind.CONSOLE, 30 * MINUTE_MS), (Kind.OFFICER, 4 * HOUR_MS)],
)
def test_a_session_narrows_when_nobody_touches_it(kind: Kind, idle_ms: int) -> None:
    assert not is_narrowed(session(kind), T0_MS + idle_ms - 1)
    assert is_narrowed(session(kind), T0_MS + idle_ms)
    assert actor_of(session(kind), T0_MS + idle_ms).narrowed


@pytest.mark.parametrize("kind", [Kind.CLI, Kind.LOCAL, Kind.KIOSK, Kind.MACHINE])
def test_what_has_no_chair_does_not_narrow(kind: Kind) -> None:
    life_ms = LIFE_MS.get(kind, DAY_MS)
    one = opened(
        "s", kind, user_id="m", role=Role.AUDITOR, scope="", desk="", now_ms=T0_MS, life_ms=life_ms
    )
    assert not is_narrowed(one, T0_MS + life_ms - 1)


def test_input_does_not_widen_a_narrowed_session() -> None:
    assert not input_is_due(session(), T0_MS + MINUTE_MS - 1)
    assert input_is_due(session(), T0_MS + MINUTE_MS)
    assert not input_is_due(session(), T0_MS + 30 * MINUTE_MS)


def test_only_the_hash_of_a_secret_is_kept() -> None:
    assert session().id == id_of("secret")
    assert len(session().id) == 32
    assert "secret" not in repr(session())


def test_a_second_factor_of_tomorrow_counts_for_nothing() -> None:
    assert is_stepped_up(T0_MS, T0_MS)
    assert not is_stepped_up(T0_MS + 1, T0_MS)
    assert not is_stepped_up(None, T0_MS)


def test_an_officers_cookie_survives_a_code_opened_from_the_camera_and_no_others_does() -> None:
    assert COOKIES[Kind.OFFICER] == ("__Host-plomba_o", "lax")
    assert COOKIES[Kind.CONSOLE] == COOKIES[Kind.KIOSK] == ("__Host-plomba", "strict")


# passwords

HASHER = passwords.Hasher()


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short", "password_length"),
        ("x" * 257, "password_length"),
        ("abababababab", "password_simple"),
        ("annaKarimova99!", "password_name"),
        ("Karimova is here", "password_name"),
        ("password1234", "password_common"),
        ("P@ssw0rd2026!", "password_common"),
        ("passwordpassword", "password_common"),
        ("123456789012", "password_common"),
        ("qwertyuiop12", "password_common"),
        ("1qaz2wsx3edc", "password_common"),
        ("йцукенгшщзхъ", "password_common"),
        ("Toshkent2024!", "password_common"),
        ("пароль123456", "password_common"),
        ("администратор1", "password_common"),
        ("administrator", "password_common"),
        ("!!!letmein12345", "password_common"),
    ],
)
def test_a_password_that_others_would_guess_is_refused(password: str, code: str) -> None:
    fault = passwords.fault_of(password, user_id="anna", name="Anna Karimova")
    assert fault is not None
    assert fault.code == code


@pytest.mark.parametrize(
    "password",
    ["four grey trucks by noon", "kulrang-yuk-mashina-77", "семь зелёных вагонов", "T7#kq9!vLm2x"],
)
def test_a_password_of_ones_own_is_taken(password: str) -> None:
    assert passwords.fault_of(password, user_id="op-07", name="Op Seven") is None


def test_a_password_is_kept_as_argon2id_and_nobodys_is_never_right() -> None:
    encoded = HASHER.hash_of("four grey trucks", bytes(16))
    assert encoded.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
    assert HASHER.holds(encoded, "four grey trucks")
    assert not HASHER.holds(encoded, "four grey truck")
    assert not HASHER.holds(None, "")
    assert not HASHER.holds("no hash", "four grey trucks")
    assert not HASHER.is_stale(encoded)
    assert HASHER.is_stale(encoded.replace("m=47104", "m=8192"))


def test_the_same_letters_from_another_keyboard_are_the_same_password() -> None:
    encoded = HASHER.hash_of("caf\u00e9 on the border", bytes(16))
    assert HASHER.holds(encoded, "cafe\u0301 on the border")


# the second factor

RFC_SECRET = b"12345678901234567890"


@pytest.mark.parametrize(  # RFC 6238, appendix B
    ("at_s", "code"),
    [
        (59, "94287082"),
        (1_111_111_109, "07081804"),
        (1_111_111_111, "14050471"),
        (1_234_567_890, "89005924"),
        (2_000_000_000, "69279037"),
        (20_000_000_000, "65353130"),
    ],
)
def test_codes_are_those_of_the_standard(at_s: int, code: str) -> None:
    assert totp.code_of(RFC_SECRET, totp.step_of(at_s * 1_000), digits=8) == code


def test_a_code_is_good_once_and_a_step_early_or_late() -> None:
    now = totp.step_of(T0_MS)
    for step in (now - 1, now, now + 1):
        assert totp.accept(RFC_SECRET, totp.code_of(RFC_SECRET, step), T0_MS, used_step=-1) == step
    used = totp.code_of(RFC_SECRET, now)
    assert totp.accept(RFC_SECRET, used, T0_MS, used_step=now) is None
    for step in (now - 2, now + 2):
        assert totp.accept(RFC_SECRET, totp.code_of(RFC_SECRET, step), T0_MS, used_step=-1) is None
    assert totp.accept(RFC_SECRET, "00000 ", T0_MS, used_step=-1) is None


def test_an_authenticator_can_read_the_secret() -> None:
    assert totp.uri(RFC_SECRET, "anna") == (
        "otpauth://totp/Plomba%3Aanna?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Plomba"
    )


# limits


def test_five_log_ins_at_once_then_one_each_twelve_seconds() -> None:
    buckets = Buckets(LOGIN_ACCOUNT)
    assert [buckets.draw("anna", T0_MS) for _ in range(6)] == [0, 0, 0, 0, 0, 12_000]
    assert buckets.draw("boris", T0_MS) == 0
    assert buckets.draw("anna", T0_MS + 11_999) == 1
    assert buckets.draw("anna", T0_MS + 12_000) == 0
    assert buckets.draw("anna", T0_MS + 12_000) == 12_000
    assert (seconds(1), seconds(12_000), seconds(12_001)) == (1, 12, 13)


@pytest.mark.parametrize(
    ("rate", "minute"), [(LOGIN_ACCOUNT, 5), (LOGIN_ADDRESS, 20), (REQUESTS, 1_200)]
)
def test_a_minute_gives_what_the_paper_says(rate: Rate, minute: int) -> None:
    assert MINUTE_MS // rate.every_ms == minute


@given(st.lists(st.integers(-5_000, 20_000), max_size=200))
def test_a_bucket_never_gives_more_than_its_burst_and_its_time(steps: list[int]) -> None:
    rate = Rate(every_ms=1_000, burst=5)
    buckets, now_ms, given_ = Buckets(rate), T0_MS, 0
    newest_ms = now_ms
    for step in steps:
        now_ms += step
        newest_ms = max(newest_ms, now_ms)
        wait_ms = buckets.draw("anna", now_ms)
        given_ += wait_ms == 0
        assert 0 <= wait_ms <= rate.every_ms
    back_ms = sum(-step for step in steps if step < 0)  # time that was lived twice
    assert given_ <= rate.burst + (newest_ms - T0_MS + back_ms) // rate.every_ms + 1


def test_what_is_remembered_of_a_flood_of_addresses_is_bounded() -> None:
    buckets = Buckets(LOGIN_ADDRESS, keys_max=100)
    for number in range(1_000):
        buckets.draw(str(number), T0_MS)
    assert len(buckets) <= 100
    buckets.draw("x", T0_MS + DAY_MS)
    assert len(buckets) == 1  # all others are full again
