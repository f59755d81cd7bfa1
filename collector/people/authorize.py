"""Who may do what: one table by method and path (CONSOLE section 10, EVIDENCE section 11).

Law: what has no row is refused, and a route without a row stops the start. Whose things are meant is asked of the store, joined on the
actor's scope: a foreign one does not exist for him (404).
"""

from dataclasses import dataclass, field, replace
from enum import Enum

from collector.people import Actor, Denied, Role, sees
from collector.people.sessions import is_stepped_up

ADMIN, SUPERVISOR, OPERATOR, OFFICER, AUDITOR = (
    Role.ADMIN,
    Role.SUPERVISOR,
    Role.OPERATOR,
    Role.OFFICER,
    Role.AUDITOR,
)
PEOPLE = frozenset({ADMIN, SUPERVISOR, OPERATOR, OFFICER, AUDITOR})
ROOM = frozenset({SUPERVISOR, OPERATOR, AUDITOR})  # who sees the control room

BODY_BYTES_MAX = 65_536
SHAPES_BYTES_MAX = 1 << 20  # GeoJSON


class Kept(Enum):
    """What is kept of a call that was answered."""

    NOTHING = "nothing"  # it tells nothing of anybody
    ACT = "act"  # a change: by whom, of what
    OWN = "own"  # a change that has a history of its own, as alerts have
    TRACK = "track"  # a read of where a unit was
    EVIDENCE = "evidence"  # a read of signed bytes, or of how they are proven
    EXPORT = "export"  # what leaves the house
    ROLL = "roll"  # any other read: counted by the hour


READS = frozenset({Kept.TRACK, Kept.EVIDENCE, Kept.EXPORT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """What a call needs of who makes it."""

    roles: frozenset[Role] = field(default_factory=frozenset)
    kept: Kept = Kept.ROLL
    is_open: bool = False  # nobody has to be logged in
    whole: bool = False  # tells of all units alike: not for who sees a part
    step_up: bool = False  # the second factor, shown in the last minutes
    goes_on: bool = False  # also in a session that has narrowed
    is_input: bool = True  # somebody sits there; a screen that looks by itself does not
    kiosk: bool = False  # a wall may look at it
    once: bool = False  # bears a key: the same again is answered as it was, and done once
    secret: bool = False  # what it answers is told once and kept nowhere
    login_page: str = ""  # where a stranger who opens it in a browser is sent
    form: bool = False  # a plain form: its token stands for the headers that no form can send
    body_bytes_max: int = BODY_BYTES_MAX


def _open(*, kept: Kept = Kept.NOTHING, form: bool = False) -> Right:
    return Right(is_open=True, kept=kept, goes_on=True, is_input=False, form=form)


def _reads(*roles: Role, kept: Kept = Kept.ROLL, whole: bool = False) -> Right:
    return Right(roles=frozenset(roles), kept=kept, whole=whole)


def _asks_itself(*roles: Role) -> Right:
    """What an open screen reads again every few seconds: no hand on the keyboard, and no question for a password."""
    return replace(_reads(*roles), goes_on=True, is_input=False)


def _acts(
    *roles: Role, kept: Kept = Kept.ACT, step_up: bool = False, secret: bool = False
) -> Right:
    return Right(roles=frozenset(roles), kept=kept, step_up=step_up, once=True, secret=secret)


_ALL = tuple(PEOPLE)
_WATCH = Right(roles=ROOM, goes_on=True, is_input=False, kiosk=True)  # what a screen asks by itself
_OFFICER = Right(roles=frozenset({SUPERVISOR, OPERATOR, OFFICER}), login_page="/o/login")
_ACK = Right(roles=frozenset({OPERATOR, SUPERVISOR}), kept=Kept.OWN, goes_on=True, once=True)
_MINE = Right(roles=PEOPLE, kept=Kept.NOTHING, goes_on=True, is_input=False, kiosk=True)

CONSOLE_PAGES = (  # every view is a URL: the one page finds out by itself which screen it is
    "/",
    "/enter",
    "/setup",
    "/unit/{part}",
    "/board",
    "/dossier/{part}",
    "/fences",
    "/kpi",
    "/admin",
    "/admin/{part}",
    "/audit",
    "/evidence/{part}",
    "/handover",
)
CONSOLE_ASSETS = "/assets/{name}"

RIGHTS: dict[tuple[str, str], Right] = {
    # anybody: the console's pages and files tell nothing; what they ask has rows of its own
    **{("GET", path): _open() for path in (*CONSOLE_PAGES, CONSOLE_ASSETS)},
    ("GET", "/healthz"): _open(),
    ("POST", "/api/v1/login"): _open(kept=Kept.OWN),
    ("POST", "/api/v1/setup"): _open(kept=Kept.OWN),
    # one's own session
    ("GET", "/api/v1/me"): _MINE,
    ("POST", "/api/v1/logout"): Right(
        roles=PEOPLE, kept=Kept.OWN, goes_on=True, is_input=False, kiosk=True
    ),
    ("POST", "/api/v1/enter"): Right(roles=PEOPLE, kept=Kept.OWN),
    ("POST", "/api/v1/me/widen"): Right(roles=PEOPLE, kept=Kept.OWN, goes_on=True, is_input=False),
    ("POST", "/api/v1/me/input"): Right(roles=PEOPLE, kept=Kept.NOTHING),
    ("POST", "/api/v1/me/password"): Right(roles=PEOPLE, kept=Kept.OWN),
    ("POST", "/api/v1/step-up"): Right(roles=PEOPLE, kept=Kept.OWN),
    ("GET", "/api/v1/openapi.json"): Right(roles=PEOPLE, kept=Kept.NOTHING),
    # the control room
    ("GET", "/api/v1/health"): Right(
        roles=PEOPLE - {OFFICER}, goes_on=True, is_input=False, kiosk=True
    ),
    ("GET", "/api/v1/refusals"): _reads(ADMIN, SUPERVISOR, OPERATOR, AUDITOR, whole=True),
    ("GET", "/api/v1/units"): _WATCH,
    ("POST", "/api/v1/units/labels"): _WATCH,
    ("GET", "/api/v1/units/{unit_id}"): _reads(*ROOM),
    ("GET", "/api/v1/units/{unit_id}/track"): _reads(*ROOM, kept=Kept.TRACK),
    ("GET", "/api/v1/units/{unit_id}/track/{name}"): Right(
        roles=frozenset({SUPERVISOR, AUDITOR}), kept=Kept.EXPORT, step_up=True
    ),
    ("GET", "/api/v1/sheets/{number}"): _reads(*ROOM),
    ("GET", "/api/v1/units/{unit_id}/orders"): _reads(*ROOM),
    ("GET", "/api/v1/units/{unit_id}/configs"): _reads(*ROOM, ADMIN),
    ("GET", "/api/v1/alerts"): _WATCH,
    ("GET", "/api/v1/alerts/{alert_id}"): _WATCH,
    ("POST", "/api/v1/alerts/ack"): _ACK,
    ("POST", "/api/v1/alerts/{alert_id}/ack"): _ACK,
    **{
        ("POST", f"/api/v1/alerts/{{alert_id}}/{act}"): _acts(OPERATOR, SUPERVISOR, kept=Kept.OWN)
        for act in (
            *("take", "assign", "dispatch", "note", "shelve", "unshelve"),
            *("resolve", "reset", "take-out"),
        )
    },
    ("POST", "/api/v1/alerts/{alert_id}/second"): _acts(SUPERVISOR, kept=Kept.OWN, step_up=True),
    ("GET", "/api/v1/cases"): _reads(*ROOM),
    ("GET", "/api/v1/cases/{number}"): _reads(*ROOM),
    ("POST", "/api/v1/cases"): _acts(OPERATOR, SUPERVISOR, kept=Kept.OWN),
    **{
        ("POST", f"/api/v1/cases/{{number}}/{act}"): _acts(OPERATOR, SUPERVISOR, kept=Kept.OWN)
        for act in ("join", "assign", "dispatch", "recall", "arrive", "resolve")
    },
    ("POST", "/api/v1/cases/{number}/review"): _acts(SUPERVISOR, kept=Kept.OWN),
    ("POST", "/api/v1/cases/{number}/reopen"): _acts(SUPERVISOR, kept=Kept.OWN),
    ("GET", "/api/v1/handover"): _asks_itself(OPERATOR, SUPERVISOR),
    ("POST", "/api/v1/handover"): _acts(OPERATOR, SUPERVISOR),
    ("POST", "/api/v1/handover/{number}/confirm"): _acts(OPERATOR, SUPERVISOR),
    # zones, routes, thresholds
    ("GET", "/api/v1/fences"): Right(
        roles=ROOM | {ADMIN}, goes_on=True, is_input=False, kiosk=True
    ),
    **{
        ("GET", f"/api/v1/fences/{part}"): _asks_itself(*ROOM, ADMIN)
        for part in ("versions", "proposals")
    },
    ("GET", "/api/v1/fences/{number}"): _reads(*ROOM, ADMIN),
    ("POST", "/api/v1/fences"): replace(
        _acts(OPERATOR, SUPERVISOR), body_bytes_max=SHAPES_BYTES_MAX
    ),
    ("POST", "/api/v1/fences/check"): Right(
        roles=frozenset({OPERATOR, SUPERVISOR}),
        kept=Kept.NOTHING,
        body_bytes_max=SHAPES_BYTES_MAX,
    ),
    ("POST", "/api/v1/fences/dry-run"): Right(
        roles=frozenset({OPERATOR, SUPERVISOR}), kept=Kept.ACT, body_bytes_max=SHAPES_BYTES_MAX
    ),
    **{  # what is in force concerns all units alike
        ("POST", f"/api/v1/fences/{{number}}/{act}"): replace(
            _acts(SUPERVISOR, step_up=True), whole=True
        )
        for act in ("approve", "refuse")
    },
    # figures, and what stands behind them
    ("GET", "/api/v1/kpi/alarms"): _reads(*ROOM),
    ("GET", "/api/v1/kpi/alarms.csv"): _reads(*ROOM, kept=Kept.EXPORT),
    ("GET", "/api/v1/evidence/{batch}"): _reads(*ROOM, kept=Kept.EVIDENCE),
    ("GET", "/api/v1/evidence/{batch}/envelope"): _reads(*ROOM, kept=Kept.EVIDENCE),
    ("GET", "/api/v1/units/{unit_id}/custody"): _reads(*ROOM, kept=Kept.EVIDENCE),
    ("GET", "/api/v1/live/snapshot"): _WATCH,
    ("GET", "/api/v1/live/stream"): _WATCH,
    # people, desks, walls, programs
    ("POST", "/api/v1/kiosk"): _open(kept=Kept.OWN),
    ("GET", "/api/v1/admin/users"): _reads(ADMIN, AUDITOR),
    ("POST", "/api/v1/admin/users"): _acts(ADMIN, secret=True),
    ("POST", "/api/v1/admin/users/{user_id}/setup-link"): _acts(ADMIN, secret=True),
    ("POST", "/api/v1/admin/users/{user_id}/role"): _acts(ADMIN),
    ("POST", "/api/v1/admin/users/{user_id}/scope"): _acts(ADMIN),
    ("POST", "/api/v1/admin/users/{user_id}/desk"): _acts(ADMIN),
    ("POST", "/api/v1/admin/users/{user_id}/lock"): _acts(ADMIN),
    ("POST", "/api/v1/admin/users/{user_id}/unlock"): _acts(ADMIN),
    ("GET", "/api/v1/admin/desks"): _reads(ADMIN, AUDITOR),
    ("POST", "/api/v1/admin/desks"): _acts(ADMIN),
    ("GET", "/api/v1/admin/sessions"): _reads(ADMIN, AUDITOR),
    ("POST", "/api/v1/admin/sessions/{session}/end"): _acts(ADMIN),
    ("POST", "/api/v1/admin/kiosks"): _acts(ADMIN, secret=True),
    ("POST", "/api/v1/admin/tokens"): _acts(ADMIN, secret=True),
    # units, without their places
    ("GET", "/api/v1/admin/units"): _reads(ADMIN, AUDITOR),
    ("POST", "/api/v1/admin/units/{unit_id}/scope"): _acts(ADMIN),
    ("POST", "/api/v1/admin/units/{unit_id}/revoke"): _acts(ADMIN, step_up=True),
    # a unit that is not let in yet belongs to no part of the whole
    ("POST", "/api/v1/admin/enrol-tokens"): replace(_acts(ADMIN, secret=True), whole=True),
    ("GET", "/api/v1/admin/enrolments"): replace(_asks_itself(ADMIN, AUDITOR), whole=True),
    ("POST", "/api/v1/admin/enrolments/{unit_id}/approve"): replace(
        _acts(ADMIN, step_up=True), whole=True
    ),
    ("POST", "/api/v1/admin/enrolments/{unit_id}/refuse"): replace(_acts(ADMIN), whole=True),
    # beside the road
    ("GET", "/o"): _OFFICER,
    ("GET", "/o/"): _OFFICER,
    ("GET", "/o/s"): _OFFICER,
    ("GET", "/o/h/"): _OFFICER,
    ("GET", "/o/h/{code}"): _OFFICER,
    ("GET", "/o/keys"): _OFFICER,
    ("GET", "/O/H/{code}"): _OFFICER,
    ("POST", "/o/report"): Right(roles=frozenset({OFFICER}), kept=Kept.OWN, form=True),
    ("GET", "/o/login"): _open(),
    ("POST", "/o/login"): _open(kept=Kept.OWN, form=True),
    ("POST", "/o/logout"): Right(
        roles=PEOPLE, kept=Kept.OWN, goes_on=True, is_input=False, form=True
    ),
    ("GET", "/o/officer.js"): _open(),
    ("GET", "/o/sw.js"): _open(),
    ("GET", "/O/sw.js"): _open(),
    ("GET", "/o/dictionary"): _open(),
    # who did what
    ("GET", "/api/v1/audit"): _reads(*_ALL),
    ("GET", "/api/v1/audit.csv"): Right(
        roles=frozenset({SUPERVISOR, AUDITOR}), kept=Kept.EXPORT, step_up=True
    ),
}


def beyond(actor: Actor, scope: str) -> Denied | None:
    """Why `actor` may give nobody and nothing this scope; None: it is his own or a part of it."""
    if sees(actor.scope, scope):
        return None
    return Denied(
        status=403, code="beyond_scope", hint=f"you see {actor.scope}: give that, or a part"
    )


def authorize(actor: Actor | None, right: Right | None, now_ms: int) -> Denied | None:
    """Why the call is refused; None: it may be made. `right` None: there is no row."""
    if right is None:
        return Denied(status=403, code="no_right", hint="nobody may do this")
    if right.is_open:
        return None
    if actor is None:
        return Denied(status=401, code="not_logged_in", hint="log in first")
    if actor.role not in right.roles:
        return Denied(status=403, code="not_allowed", hint=f"not for {actor.role.value}s")
    if actor.read_only and not right.kiosk:
        return Denied(status=403, code="read_only_session", hint="this screen only shows")
    if actor.scope and right.whole:
        return Denied(
            status=403, code="not_whole", hint=f"it tells of all units; you see {actor.scope}"
        )
    if actor.narrowed and not right.goes_on:
        return Denied(
            status=403,
            code="narrowed",
            hint="nobody has touched this session for a while: give your password again",
        )
    if right.step_up and not is_stepped_up(actor.step_up_ms, now_ms):
        return Denied(
            status=403,
            code="step_up",
            hint="give a code of your second factor first: it counts for five minutes",
        )
    return None
