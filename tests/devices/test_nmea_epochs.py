"""Which sentences make one instant, and when it is a fix (DEVICES section 3.4 to 3.6)."""

import pytest

from devices import NoFixReason
from devices.nmea import NmeaReader
from tests.devices.nmea_lines import (
    NOT_BEFORE,
    counted,
    fixes,
    gga,
    gll,
    gns,
    line,
    lines,
    no_fixes,
    one_fix,
    read,
    rmc,
)

BLANK = ",,,"
ELSEWHERE = "4118.20000,N,06914.60000,E"
VOID, QUALITY_0 = NoFixReason.VOID, NoFixReason.QUALITY_0
NO_POSITION, TOO_FEW_SATS = NoFixReason.NO_POSITION, NoFixReason.TOO_FEW_SATS
CONTRADICTION = NoFixReason.CONTRADICTION


@pytest.mark.parametrize(
    ("bodies", "said_by"),
    [
        ([rmc()], "RMC"),
        ([gga()], "GGA"),
        ([gns()], "GNS"),
        ([gll()], "GLL"),
        ([gll(), gns(), gga(), rmc()], "RMC GGA GNS GLL"),
        ([gll(mode="")], "GLL"),
        ([gga(sats="")], "GGA"),
        ([gga(sats="03")], "GGA"),
        ([gga(sats="00"), rmc()], "RMC GGA"),
        ([gga(sats="02"), gll()], "GGA GLL"),
        ([gga(sats="02"), gns()], "GNS"),
        ([gns(modes="N"), rmc()], None),
        ([gns(modes="NNA")], "GNS"),
        ([rmc(place=BLANK), gga()], "GGA"),
        ([rmc(status=""), gga()], "GGA"),
        ([rmc() + ",V"], "RMC"),  # the navigational status "not provided" vetoes nothing
    ],
)
def test_an_epoch_with_a_claim_and_no_veto_is_a_fix(bodies: list[str], said_by: str | None) -> None:
    found = [" ".join(fix.said_by) for fix in fixes(read(lines(*bodies)))]
    assert found == ([] if said_by is None else [said_by])


@pytest.mark.parametrize(
    ("bodies", "reason"),
    [
        ([rmc(status="V")], VOID),
        ([rmc()[:-1] + "N"], VOID),
        ([gll(status="V")], VOID),
        ([gll(mode="N")], VOID),
        ([gga(quality="0")], QUALITY_0),
        ([gga(quality="")], QUALITY_0),
        ([gns(modes="NNN")], QUALITY_0),
        ([gns(modes="")], QUALITY_0),
        ([gga(quality="0"), rmc(status="V")], VOID),
        ([rmc(place=BLANK)], NO_POSITION),
        ([gga(place=BLANK)], NO_POSITION),
        ([rmc(status="")], NO_POSITION),
        (["GPZDA,050010.00,01,03,2027,00,00"], NO_POSITION),
        ([gga(sats="02")], TOO_FEW_SATS),
        ([gga(sats="00")], TOO_FEW_SATS),
        ([rmc(), gga(quality="0")], CONTRADICTION),
        ([gga(), rmc(status="V")], CONTRADICTION),
        ([gga(), gll(status="V")], CONTRADICTION),
        ([gll(), gns(modes="N")], CONTRADICTION),
        ([gga(sats="01"), rmc(status="V")], VOID),
    ],
)
def test_an_epoch_without_a_fix_says_why(bodies: list[str], reason: NoFixReason) -> None:
    facts = read(lines(*bodies))
    assert fixes(facts) == []
    assert [fact.reason for fact in no_fixes(facts)] == [reason]


@pytest.mark.parametrize(
    "vetoer", [rmc(status="V"), gga(quality="0"), gns(modes="N"), gll(status="V")]
)
def test_one_veto_outweighs_every_claim_wherever_it_stands(vetoer: str) -> None:
    claims = [body for body in (rmc(), gga(), gns(), gll()) if body[2:5] != vetoer[2:5]]
    for at in range(len(claims) + 1):
        assert fixes(read(lines(*claims[:at], vetoer, *claims[at:]))) == []


@pytest.mark.parametrize(
    ("bodies", "elsewhere"),
    [
        ([rmc(), gga(place=ELSEWHERE)], True),
        ([gga(place=ELSEWHERE), rmc()], False),
        ([gns(), gga(), rmc(place=ELSEWHERE), gll()], True),
        ([rmc(place=ELSEWHERE), gll()], True),  # GLL only fills a gap
        ([gll(place=ELSEWHERE), gga(sats="01")], False),
        ([gns(place=ELSEWHERE), gga(sats="01")], True),  # too weak to be heard
    ],
)
def test_the_last_of_rmc_gga_and_gns_gives_the_place(
    bodies: list[str],
    *,
    elsewhere: bool,
) -> None:
    assert (one_fix(*bodies).lat_e7 == 413_033_333) is elsewhere


def test_an_epoch_ends_when_a_sentence_with_another_time_comes() -> None:
    reader = NmeaReader(NOT_BEFORE)
    assert reader.feed(lines(rmc(), gga()), 7) == []
    ended = reader.feed(line(rmc(time="050011.00")), 1_007)
    assert [(fix.at_ms, fix.tod_ms) for fix in fixes(ended)] == [(7, 18_010_000)]
    assert [fix.tod_ms for fix in fixes(reader.close(2_000))] == [18_011_000]
    assert reader.close(3_000) == []


def test_sentences_without_a_time_belong_to_the_open_epoch() -> None:
    vtg = "GPVTG,180.0,T,,M,10.0,N,18.5,K,A"
    told = fixes(read(lines(gga(), vtg, gga(time="050011.00"))))
    assert [fix.speed_cm_s for fix in told] == [514, None]
    assert fixes(read(lines(vtg, gga())))[0].speed_cm_s is None


def test_gst_joins_only_the_epoch_whose_time_it_bears() -> None:
    gst = "GPGST,{},5.0,3.0,2.0,45.0,3.0,4.0,9.9"
    assert one_fix(rmc(), gst.format("050010.00")).err_cm == 500
    assert one_fix(rmc(), gst.format("050011.00")).err_cm is None
    assert one_fix(rmc(), gst.format("")).err_cm is None
    assert counted(gst.format("050010.00")) == {}


def test_gbs_joins_and_says_nothing_that_we_keep() -> None:
    assert counted(rmc(), "GPGBS,050010.00,1.0,1.0,2.0,,,,") == {"fixes": 1}


@pytest.mark.parametrize(
    ("modes", "altitude", "mode"),
    [
        ([], "455.1", 3),
        ([], "", 2),
        (["3"], "455.1", 3),
        (["2"], "455.1", 2),
        (["2", "2"], "455.1", 2),
        (["2", "3"], "455.1", 3),
        (["3"], "", 2),
        (["1"], "455.1", 3),
        (["x"], "455.1", 3),
    ],
)
def test_two_dimensions_when_all_gsa_say_so_or_no_altitude_is_known(
    modes: list[str], altitude: str, mode: int
) -> None:
    gsas = [f"GNGSA,A,{each},01,02,03,,,,,,,,,,1.8,1.1,1.5" for each in modes]
    assert one_fix(gga().replace("455.1", altitude), *gsas).mode == mode


def test_what_one_epoch_says_is_not_carried_into_the_next() -> None:
    facts = read(lines(rmc(), gga(), rmc(time="050011.00", place=BLANK)))
    assert len(fixes(facts)) == 1
    (blank,) = no_fixes(facts)
    assert blank.reason is NO_POSITION


def test_a_zda_a_second_ahead_loses_no_fix() -> None:
    """Some receivers send it with the pulse (Ashtech AC12); alone and again it means that the place is gone."""
    zda = "GPZDA,0500{}.00,01,03,2027,00,00"
    facts = read(
        lines(
            rmc(), zda.format(11), rmc(time="050011.00"), zda.format(12), zda.format(13), zda.format(14)
        )
    )  # fmt: skip
    assert [fix.tod_ms for fix in fixes(facts)] == [18_010_000, 18_011_000]
    assert [fact.reason for fact in no_fixes(facts)] == [NO_POSITION, NO_POSITION]


# Talkers


def test_other_instruments_are_not_heard_while_the_receiver_speaks() -> None:
    reader = NmeaReader(NOT_BEFORE)
    other = line("II" + rmc(place=ELSEWHERE)[2:])
    assert len(fixes(read(other))) == 1  # alone it is all we have
    reader.feed(line("GPGSV,1,1,00"), 0)
    assert reader.feed(other * 2, 9_999) == []
    assert (reader.counters["other_talker"], reader.next_deadline()) == (2, None)
    reader.feed(other, 10_000)
    assert reader.counters["other_talker"] == 2
    assert len(fixes(reader.close(10_001))) == 1


@pytest.mark.parametrize("talker", ["GP", "GN", "GL", "GA", "GB", "BD", "GQ", "QZ", "GI"])
def test_every_satellite_system_is_a_receiver(talker: str) -> None:
    assert counted("GNGSV,1,1,00", talker + rmc()[2:]) == {"fixes": 1}


@pytest.mark.parametrize("talker", ["II", "IN", "SD", "HC", "EC", "WI"])
def test_a_plotter_repeating_a_place_is_counted(talker: str) -> None:
    assert counted("GNGSV,1,1,00", talker + rmc()[2:]) == {"other_talker": 1}
