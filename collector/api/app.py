"""The API's application: routes, the guard before them, and the check that each route has its row in the table of rights.

Law: a route without a row stops the start. Routes are added to the application itself, where the guard sees them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from zoneinfo import ZoneInfo

from fastapi import FastAPI

from collector.api.admin import add_admin
from collector.api.admin_units import add_admin_units
from collector.api.alert_acts import add_alert_acts
from collector.api.alerts import Room, add_alert_reads
from collector.api.audit import Auditor, add_audit
from collector.api.auth import add_auth
from collector.api.cases import add_cases
from collector.api.described import describe
from collector.api.dry_runs import Rehearse, add_dry_runs
from collector.api.evidence import add_evidence
from collector.api.fence_checks import add_fence_checks
from collector.api.fences import add_fences
from collector.api.guard import Front, Guard, missing_rights
from collector.api.handover import add_handover
from collector.api.hub import Hub
from collector.api.kpi import add_kpi
from collector.api.live import add_live
from collector.api.models import Problem
from collector.api.officer import add_officer
from collector.api.officer_answers import Answers
from collector.api.officer_faults import Readable
from collector.api.officer_packing import Packed, Packing
from collector.api.officer_pages import Pages
from collector.api.officer_settings import OfficerSettings
from collector.api.places import Places
from collector.api.porter import Porter
from collector.api.problems import add_handlers
from collector.api.service import Reads, add_reads
from collector.api.sheets import add_sheets
from collector.api.static import Asset, add_console
from collector.api.units import add_units
from collector.notify import Target
from collector.store.database import Store
from wire import MisuseError


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the API is made of."""

    reads: Reads
    store: Store
    porter: Porter
    auditor: Auditor
    now_ms: Callable[[], int]
    build: str
    hub: Hub
    rehearse: Rehearse | None = None  # how a draft is tried; None: it cannot be
    front: Front = field(default_factory=Front)
    officer: OfficerSettings = field(default_factory=OfficerSettings)
    targets: tuple[Target, ...] = ()  # who is told of alerts outside the house
    console: Mapping[str, Asset] = field(default_factory=dict)  # its files; none: it was not built


def create_app(parts: Parts) -> FastAPI:
    """The application over `parts`; MisuseError for a route that nobody has said who may ask."""
    api = FastAPI(
        title="Plomba collector",
        version=parts.build,
        summary="Units, tracks, alerts, and the people who look after them.",
        description="Unknown is null, old is marked old. Who may ask what: docs/OPERATING.md, People.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # a page with scripts from elsewhere; the console will bring its own
        redoc_url=None,
        redirect_slashes=False,
        responses={"default": {"model": Problem, "description": "what went wrong, and its code"}},
    )
    add_handlers(api)
    add_auth(api, parts.porter)
    add_reads(api, parts.reads)
    room = Room(store=parts.store, now_ms=parts.now_ms, places=parts.hub.watch.places)
    add_alert_reads(api, room)
    add_alert_acts(api, room)
    add_cases(api, room)
    add_units(api, room)
    add_handover(api, room)
    add_sheets(api, parts.store, parts.reads, parts.now_ms)
    add_live(api, parts.hub, Random())  # noqa: S311  # spreads clients, hides nothing
    add_audit(api, parts.store)
    add_admin(api, parts.store, parts.porter, parts.now_ms)
    add_admin_units(api, parts.store, parts.now_ms)
    pages = Pages(
        zone=ZoneInfo(parts.officer.time_zone), phone=parts.officer.phone, places=Places.load()
    )
    packing = Packing(pages)
    add_officer(
        api,
        pages=pages,
        packing=packing,
        answers=Answers(parts.store, parts.officer.limits, parts.now_ms, parts.targets),
        porter=parts.porter,
    )
    add_console(api, parts.console)
    add_kpi(api, parts.store, parts.now_ms)
    add_evidence(api, parts.store, parts.now_ms)
    board = add_fences(api, parts.store, parts.now_ms)
    add_fence_checks(api, board)
    add_dry_runs(api, board, parts.rehearse)
    describe(api)
    missing = missing_rights(api)
    if missing:
        raise MisuseError(f"no row in the table of rights for {', '.join(missing)}")
    api.add_middleware(
        Guard,
        store=parts.store,
        porter=parts.porter,
        auditor=parts.auditor,
        front=parts.front,
        now_ms=parts.now_ms,
    )
    api.add_middleware(Readable, pages=pages)  # outside the guard: what it refuses is read too
    api.add_middleware(Packed, packing=packing)
    return api
