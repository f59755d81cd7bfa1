"""`plomba bench ...`: the numbers, each beside a baseline of the same run.

Law: a figure names its machine and commit; nothing here gates a shared machine, only the drill's verdict does.
"""

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plomba import exits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.drill.faults import Fault

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


def ends_what_it_began() -> None:
    """The numbers, each beside a baseline of the same run."""

    # A TERM ends it as a Ctrl-C does: agents that outlive their bench go on taking bytes from ptys that others have got since.
    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would cut the tidying short
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)


def wire(
    traces: Annotated[
        Path | None,
        typer.Option(help="A folder of CSV tracks at 1 Hz to seal beside the synthetic truck."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Signed bytes on the air per position, by size of batch."""
    from bench.wire import run

    if traces is not None and not traces.is_dir():
        typer.echo(f"{traces}: no such folder", err=True)
        raise typer.Exit(exits.NOT_FOUND)
    _print(run(traces), as_json=as_json)


def outbox(
    directory: Annotated[
        Path | None,
        typer.Option(help="A folder on the disk to be measured; else the temporary one."),
    ] = None,
    batches: Annotated[int, typer.Option(min=10, max=100_000, help="Commits in each round.")] = 400,
    as_json: AsJson = False,
) -> None:
    """Bytes that a commit of the outbox sends to the disk, and how long it takes."""
    from bench.outbox import run

    if directory is not None and not directory.is_dir():
        typer.echo(f"{directory}: no such folder", err=True)
        raise typer.Exit(exits.NOT_FOUND)
    _print(run(directory, batches), as_json=as_json)


def outbox_damage(
    truncations: Annotated[int, typer.Option(min=0, max=100_000, help="Files cut short.")] = 600,
    sectors: Annotated[int, typer.Option(min=0, max=100_000, help="Sectors spoilt.")] = 600,
    twice: Annotated[
        int,
        typer.Option(min=0, max=100_000, help="Sectors spoilt again while it is read back."),
    ] = 200,
    seed: Annotated[int, typer.Option(help="Of the damage.")] = 1,
    as_json: AsJson = False,
) -> None:
    """The outbox under damage: every loss told, none silent, collecting again in 5 s. Exit 6 if not."""
    from bench.damage import run

    figures = run(truncations, sectors, twice, seed=seed)
    _print(figures, as_json=as_json)
    if not figures["holds"]:
        raise typer.Exit(exits.BAD)


def ingest(
    units: Annotated[int, typer.Option(min=1, max=10_000, help="Units in the fleet.")] = 64,
    as_json: AsJson = False,
) -> None:
    """Verify, detect, store, receipt in process: positions a second and where the time goes."""
    from bench.ingest import run

    _print(run(units), as_json=as_json)


def detect(
    units: Annotated[int, typer.Option(min=10, max=10_000, help="Units, each on its route.")] = 512,
    borders: Annotated[
        Path | None, typer.Option(help="GeoJSON of five borders; else made ones as long.")
    ] = None,
    loads: Annotated[
        str, typer.Option(help="A: 60 rows at 1 Hz, B: 60 at 10 s, C: 1 at 10 s.")
    ] = "ABC",
    edited: Annotated[
        int, typer.Option(min=0, max=100_000, help="Units inside zones while those are redrawn.")
    ] = 10_000,
    as_json: AsJson = False,
) -> None:
    """Detection alone beside decoding alone and beside stepping every row: positions a second (DETECTION section 14).

    Minutes for 512 units: routes of 2,000 vertices are made and prepared for each.
    """
    from bench.detect import LOADS, run

    if borders is not None and not borders.is_file():
        typer.echo(f"{borders}: no such file", err=True)
        raise typer.Exit(exits.NOT_FOUND)
    if not loads or not set(loads) <= set(LOADS):
        typer.echo(f"--loads: letters of {', '.join(LOADS)}", err=True)
        raise typer.Exit(exits.USAGE)
    _print(run(borders, units, loads, edited), as_json=as_json)


def live(
    units: Annotated[int, typer.Option(min=1, max=100_000, help="Units in the picture.")] = 10_000,
    rounds: Annotated[int, typer.Option(min=1, max=10_000, help="Times.")] = 50,
    as_json: AsJson = False,
) -> None:
    """The picture of the fleet for the browser: packed and zipped, beside the same rows as JSON (CONSOLE section 7)."""
    from bench.live import run

    _print(run(units, rounds), as_json=as_json)


def officer(
    rounds: Annotated[int, typer.Option(min=1, max=1_000, help="Answers asked for.")] = 6,
    as_json: AsJson = False,
) -> None:
    """The officer's answer in a browser on 50 kb/s with 2 s a round trip, scripts on and off (CONSOLE section 11)."""
    from bench.officer import BenchError, run

    try:
        figures = run(rounds)
    except BenchError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(exits.NOT_FOUND) from error
    _print(figures, as_json=as_json)


def simulator(
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Plays of 50 minutes.")] = 5,
    as_json: AsJson = False,
) -> None:
    """World seconds a second of `plomba-sim` with all three devices, as fast as they are read.

    Exit 1 if a play was not heard to its end.
    """
    from bench.site import SiteError
    from bench.witness import run

    try:
        report = run(rounds)
    except SiteError as error:
        typer.echo(f"the simulator could not be measured: {error}", err=True)
        raise typer.Exit(exits.FAILED) from error
    _print(report, as_json=as_json)


def agent(
    seconds: Annotated[
        float,
        typer.Option(
            min=60, max=90_000, help="How long it drives; the paper's figures want an hour."
        ),
    ] = 3_600,
    directory: Annotated[
        Path | None,
        typer.Option(help="A folder on the disk to be measured; else the temporary one."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The unit's memory, work, bytes on card and air, and how fast it is, each beside its goal.

    One agent with a receiver, a lock and an RFID reader (tags stay, come and go), TLS, a real broker and collector. It drives under seal for
    --seconds, without link for 40 % of that (10 min at most); then the rope is cut 20 times. Exit 0 whatever the figures are; 1 if it could
    not be carried out.

    `figures` gives for each what was `found`, what may be there at `most` (nothing: no goal) and whether it is `met`; `missed` those that are
    not, with the obstacle.

    - rss_mib, rss_peak_mib: memory at the end of the steady time, and its peak
    - cpu_percent_of_a_core: of the steady time
    - written_bytes_a_position: what the kernel sent to the card, by kept positions, in the whole steady time
    - written_bytes_a_position_live, written_bytes_a_position_without_link: with the link and no backlog; while it was cut
    - written_bytes_an_urgent_event: all that was written from one cut of the rope to the next, 2.2 s later
    - signed_bytes_a_position_without_link_positions_alone: envelopes sealed without link, had they held their positions alone (the paper's
      figure is of drives); signed_bytes_a_position_without_link: as they are, with the lock's frame and the sky of each minute, no goal
    - air_kb_an_hour_live: both ways, with TLS, TCP and IP heads
    - event_committed_and_acknowledged_ms_p99: last byte of the lock's alarm to the acknowledgement behind the commit
    - event_published_ms_p95: the same byte to the PUBLISH at the broker's port: seal cut to broker
    - start_to_first_batch_s: from the start of the process until it answers, which is behind its first commit
    - start_to_first_fix_stored_s: until a fix was heard and everything heard is committed
    - term_to_exit_s, help_ms: TERM to exit; `plomba-agent --help`, median of 15

    `beside`, without goals: positions_kept, rss_growth_kib, rss_growth_kib_a_day; written_bytes_a_commit_live, written_bytes_a_commit_without_link,
    written_bytes_a_commit_of_the_cuts, commits_an_urgent_event; written_bytes_of_the_start (until the steady time: ballast and WAL are laid in there); run_dir_in_memory (false: the run directory lay on the disk, 4 KiB a commit too many);
    wchar_bytes_a_position, rchar_bytes_a_position (all that it wrote and read, pipes and sockets too);
    positions_a_batch_without_link, events_a_batch_without_link; air_bytes_a_batch_live (MQTT by topic or packet, what TLS adds, heads of segments); tag_events; start_to_first_batch_cpu_s (processor time of the start: what a busy machine cannot stretch); python_itself_ms (a Python that does nothing); drained_s (backlog gone after
    the link came back); fsync_4k_ms; cuts_seen, ack_ms, publish_ms; batches_live, batches_without_link; first_fix_kept_s.
    """
    from bench.agent import run
    from bench.agent_figures import lines_of_figures
    from bench.site import SiteError

    if directory is not None and not directory.is_dir():
        typer.echo(f"{directory}: no such folder", err=True)
        raise typer.Exit(exits.NOT_FOUND)
    try:
        report = run(seconds, directory, lambda text: typer.echo(text, err=True))
    except SiteError as error:
        typer.echo(f"the agent could not be measured: {error}", err=True)
        raise typer.Exit(exits.FAILED) from error
    if not as_json:
        for line in lines_of_figures(report):
            typer.echo(line)
        del report["figures"]
    _print(report, as_json=as_json)


def drill(
    seconds: Annotated[
        float, typer.Option(min=5, max=86_400, help="How long faults are made.")
    ] = 120,
    kills: Annotated[int, typer.Option(min=0, max=100_000, help="How many.")] = 200,
    units: Annotated[int, typer.Option(min=1, max=50, help="Trucks.")] = 5,
    seed: Annotated[int, typer.Option(help="The same seed makes the same plan.")] = 1,
    faults: Annotated[
        str, typer.Option(help="Groups with commas between, or `all`; see --list-faults.")
    ] = "kill",
    broker: Annotated[str, typer.Option(help="nats or mosquitto.")] = "nats",
    long_stop: Annotated[
        bool, typer.Option("--long-stop", help="Among the stops one of five minutes.")
    ] = False,
    list_faults: Annotated[
        bool, typer.Option("--list-faults", help="Say what there is, and end.")
    ] = False,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Keep all files of the run in this new folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let agents, collector, broker, lines, clocks and disks fail, and count what is lost, doubled or invented.

    Exit 0 if nothing is and every chosen fault fell; 6 if the run was not sound; 1 if it could not be carried out.
    """
    from bench.drill.faults import GROUPS, chosen, skipped, table
    from bench.drill.run import Plan, run
    from bench.site import SiteError

    if list_faults:
        _print_faults(GROUPS, table(), skipped(table()), as_json=as_json)
        return
    groups = tuple(GROUPS) if faults == "all" else tuple(faults.split(","))
    try:
        chosen(groups)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if broker not in ("nats", "mosquitto"):
        raise typer.BadParameter(f"{broker}: the broker is nats or mosquitto")
    plan = Plan(
        seconds=seconds,
        kills=kills,
        units=units,
        seed=seed,
        faults=groups,
        broker=broker,
        long_stop=long_stop,
    )
    try:
        report = run(plan, directory, lambda text: typer.echo(text, err=True))
    except SiteError as error:
        typer.echo(f"the drill could not be carried out: {error}", err=True)
        raise typer.Exit(exits.FAILED) from error
    _print(report, as_json=as_json)
    raise typer.Exit(exits.OK if report["sound"] else exits.BAD)


def storm(
    units: Annotated[int, typer.Option(min=20, max=50_000, help="Units in the fleet.")] = 5_000,
    handshakes: Annotated[
        int, typer.Option(min=1, max=10_000, help="Handshakes a second that the broker completes.")
    ] = 200,
    seed: Annotated[int, typer.Option(help="The same seed makes the same storm.")] = 1,
    plot: Annotated[
        Path | None, typer.Option(help="Write dials against time to this SVG file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """A fleet after a broker's restart, on simulated time: dials a second, who is back when, what is receipted.

    Exit 0 if there is no storm and every batch has its receipt; 6 otherwise.
    """
    from bench.storm import report_of, sail_all
    from bench.storm_plot import svg_of

    sailed = sail_all(units, handshakes, seed, lambda text: typer.echo(text, err=True))
    report = report_of(sailed, units, handshakes)
    if plot is not None:
        title = f"{units} units, a broker of {handshakes} handshakes a second: dials a second"
        plot.write_text(svg_of(sailed, title), encoding="utf-8")
    _print(report, as_json=as_json)
    raise typer.Exit(exits.OK if report["sound"] else exits.BAD)


def fuzz(
    seconds: Annotated[
        float, typer.Option(min=0.1, max=86_400, help="How long each reader is fed.")
    ] = 60,
    reader: Annotated[
        list[str] | None,
        typer.Option(help="nmea, jt701, eseal, jt808, m100, gpsd, llrp; else all."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same bytes.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Hostile bytes against every reader: exceptions, memory, whether the cutting matters, bytes a second.

    Exit 0 if nothing was raised and every reader stayed under 64 KiB; 6 otherwise; 3 outside a checkout, where the captures are.
    """
    from bench.fuzz import run
    from bench.hostile import NoCorpusError, targets

    try:
        known = list(targets())
    except NoCorpusError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(exits.NOT_FOUND) from error
    names = reader or known
    if unknown := [name for name in names if name not in known]:
        typer.echo(f"no reader {', '.join(unknown)}: one of {', '.join(known)}", err=True)
        raise typer.Exit(exits.USAGE)
    report = run(seconds, names, seed, lambda text: typer.echo(text, err=True))
    _print(report, as_json=as_json)
    raise typer.Exit(exits.OK if report["sound"] else exits.BAD)


def _print_faults(
    groups: "dict[str, str]", faults: "Sequence[Fault]", skipped: "dict[str, str]", *, as_json: bool
) -> None:
    """Each group, what is in it, and what this machine cannot do."""
    _print(
        {
            group: {
                "what": words,
                "faults": [
                    one.name + (f" (skipped: {skipped[one.name]})" if one.name in skipped else "")
                    for one in faults
                    if one.group == group
                ],
            }
            for group, words in groups.items()
        },
        as_json=as_json,
    )


def _print(report: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False))
        return
    for line in lines_of(report):
        typer.echo(line)


def lines_of(value: object, depth: int = 0) -> list[str]:
    """A nested object as indented lines, for people."""
    pad = "  " * depth
    if not isinstance(value, dict):
        return [f"{pad}{value}"]
    lines: list[str] = []
    for key, inner in value.items():
        if isinstance(inner, dict):
            lines += [f"{pad}{key}", *lines_of(inner, depth + 1)]
        elif isinstance(inner, list):
            lines += [
                f"{pad}{key}: {'none' if not inner else ''}",
                *(f"{pad}  {one}" for one in inner),
            ]
        else:
            lines.append(f"{pad}{key}: {inner}")
    return lines


def accuracy(
    traces: Annotated[
        Path, typer.Argument(help="The folder of traces: kubicka/, fcd_hof/ and the others.")
    ],
    parked_days: Annotated[int, typer.Option(min=1, max=100, help="Days on a border.")] = 2,
    write: Annotated[
        Path | None, typer.Option(help="Write the page there, as docs/ACCURACY.md.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How near the detectors come to the truth of real tracks, beside the rules of peers on the same rows.

    Takes some minutes. Exit 3 if there are no such traces.
    """
    from bench.accuracy.figures import run
    from bench.accuracy.page import page

    if not (traces / "kubicka").is_dir():
        typer.echo(f"{traces}: no folder kubicka in it", err=True)
        raise typer.Exit(exits.NOT_FOUND)
    report = run(traces, parked_days=parked_days, say=lambda text: typer.echo(text, err=True))
    if write is not None:
        write.write_text(page(report), encoding="utf-8")
    if as_json or write is None:
        _print(report, as_json=as_json)
