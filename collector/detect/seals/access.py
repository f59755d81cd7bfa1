"""Who tried to open a seal and might not: cards, passwords, keys of others."""

from dataclasses import replace

from collector.detect import Phase
from collector.detect.seals import REFUSED_MS, Access, Context, Life, Report, Seal, State, Stepped
from collector.detect.seals.contact import heard
from collector.detect.seals.opening import opened
from collector.detect.seals.work import Work, kept, seal_of, work_on
from wire.columns import Event
from wire.records import SealBit

PASSWORD_MS = 600_000
PASSWORDS_MAX = 3
CARDS = frozenset({"cards_registered", "cards_changed"})  # sources of an access that opened nothing


def accessed(context: Context, state: State, event: Event, access: Access) -> Stepped:
    work = work_on(context, event, access.at_ms, state)
    seal = heard(work, seal_of(state, access.seal), access.at_ms)
    if access.source in CARDS:
        return kept(work, state, _other_cards(work, seal, access))
    if access.opened and access.authorised is not False:
        card = access.card or access.source
        seal = replace(seal, card=card, card_ms=access.at_ms)
        if context.assume_sealed and seal.life is Life.UNKNOWN:
            seal = replace(seal, life=Life.SEALED)
        if seal.life is not Life.UNKNOWN:
            seal = opened(work, seal, access.at_ms)
        return kept(work, state, seal)
    if access.authorised is not False:
        return kept(work, state, seal)
    wrong = (access.wrong_passwords or 0) >= PASSWORDS_MAX
    if access.card is not None:
        seal = refused(work, seal, access.at_ms, "card")
    elif wrong or _three_wrong(seal, access.at_ms):
        seal = refused(work, _password(seal, access.at_ms), access.at_ms, "password")
    else:
        seal = _password(seal, access.at_ms)
    return kept(work, state, seal)


def bits_refused(work: Work, seal: Seal, report: Report) -> Seal:
    """Alarm bits count when they come up, not while they stay."""
    card, password = report.says(SealBit.ILLEGAL_CARD), report.says(SealBit.WRONG_PASSWORD)
    if card and not seal.illegal_card:
        seal = refused(work, seal, report.at_ms, "card")
    if password and not seal.wrong_password:
        if _three_wrong(seal, report.at_ms):
            seal = refused(work, seal, report.at_ms, "password")
        seal = _password(seal, report.at_ms)
    return replace(seal, illegal_card=bool(card), wrong_password=bool(password))


def _three_wrong(seal: Seal, at_ms: int) -> bool:
    """Whether one more now is the third within ten minutes."""
    recent = [wrong_ms for wrong_ms in seal.wrong_ms if at_ms - wrong_ms <= PASSWORD_MS]
    return len(recent) + 1 >= PASSWORDS_MAX


def _password(seal: Seal, at_ms: int) -> Seal:
    return replace(seal, wrong_ms=(*seal.wrong_ms, at_ms)[1 - PASSWORDS_MAX :])


def refused(work: Work, seal: Seal, at_ms: int, value: str) -> Seal:
    if seal.refused_seq is not None and at_ms - seal.refused_ms < REFUSED_MS:
        return replace(seal, refused_ms=at_ms)
    seal = ends_refused(work, seal, at_ms)
    work.tell("SEAL_ACCESS_REFUSED", seal.seal, at_ms=at_ms, phase=Phase.BEGIN, value=value)
    return replace(seal, refused_seq=work.event.seq, refused_ms=at_ms)


def _other_cards(work: Work, seal: Seal, access: Access) -> Seal:
    """Who gives himself a key is told at once, also while a refusal runs (DEVICES section 4.5: a later difference is an alarm)."""
    seal = _refusal_over(work, seal, access.at_ms)
    return refused(work, seal, access.at_ms, access.source or "")


def ends_refused(work: Work, seal: Seal, at_ms: int) -> Seal:
    if seal.refused_seq is None or at_ms - seal.refused_ms < REFUSED_MS:
        return seal
    return _refusal_over(work, seal, seal.refused_ms + REFUSED_MS)


def _refusal_over(work: Work, seal: Seal, over_ms: int) -> Seal:
    if seal.refused_seq is None:
        return seal
    work.tell(
        "SEAL_ACCESS_REFUSED",
        seal.seal,
        at_ms=over_ms,
        seq=seal.refused_seq,
        phase=Phase.END,
        n=1,
    )
    return replace(seal, refused_seq=None)
