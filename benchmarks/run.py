"""The command line: measures numr beside its peers and prints times, ratios and targets."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import harness, picture, probes, report, workload

RESULTS = Path(__file__).resolve().parent / "results"
LOOPS = (*workload.LOOPS, "startup_of_loops")  # what --only loops stands for


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description=__doc__)
    names = [*workload.WORKLOADS, *probes.PROBES]
    parser.add_argument("--only", help=f"comma-separated: loops, {', '.join(names)}")
    parser.add_argument("--threads", default="1,2", help="comma-separated (default 1,2)")
    parser.add_argument("--peers", default=",".join(workload.PEERS), help="comma-separated")
    parser.add_argument("--peer-python", default=sys.executable, help="runs the peers")
    parser.add_argument("--numr-python", default=sys.executable, help="runs numr")
    parser.add_argument("--rounds", type=int, default=7, help="turns that each peer gets")
    parser.add_argument("--seconds", type=float, default=0.15, help="length of a turn")
    parser.add_argument("--small", action="store_true", help="loops in small, to see that they run")
    parser.add_argument(
        "--report", action="store_true", help="measure nothing, print what is stored"
    )
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    parser.add_argument("--into", type=Path, help="a document whose measured part to replace")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of JSON and pictures")
    asked = parser.parse_args()
    asked.only = asked.only.split(",") if asked.only else names
    if "loops" in asked.only:
        asked.only += LOOPS
        asked.only.remove("loops")
    if asked.small:
        os.environ[workload.SMALL] = "1"  # read by modules of workloads, in every process
        if asked.into:
            parser.error("--into takes a whole run")
    asked.peers = asked.peers.split(",")
    asked.threads = [int(count) for count in asked.threads.split(",")]
    for kind, given, known in (
        ("--only", asked.only, names),
        ("--peers", asked.peers, workload.PEERS),
    ):
        unknown = [name for name in given if name not in known]
        if unknown:
            parser.error(f"{kind}: no {', '.join(unknown)}; there are {', '.join(known)}")
    return asked


def measure(asked: argparse.Namespace) -> None:
    progress = harness.terminal_progress()

    def python_of(peer: str) -> str:
        return asked.numr_python if peer == "numr" else asked.peer_python

    for name in asked.only:
        start = time.perf_counter()
        if name in workload.WORKLOADS:
            thing = workload.load(name)
            known = [peer for peer in asked.peers if peer in thing.peers]
            for threads in asked.threads:
                result = harness.measure(
                    thing, known, threads, python_of, asked.rounds, asked.seconds, progress
                )
                report.save(asked.results, report.record(name, thing.title, threads, result))
        else:
            probe = probes.load(name)
            known = [peer for peer in asked.peers if peer in probe.peers]
            for threads in asked.threads[-1:]:
                result = probe.measure(known, threads, python_of, progress)
                report.save(asked.results, report.record(name, probe.title, threads, result))
        progress(f"{name}: {time.perf_counter() - start:.0f} s")
    progress("")


def main() -> int:
    asked = arguments()
    if not asked.report:
        measure(asked)
    names = [*workload.WORKLOADS, *probes.PROBES]
    entries = [e for e in report.stored(asked.results, names) if e["name"] in asked.only]
    entries = [e for e in entries if asked.report or e["threads"] in asked.threads]
    if not entries:
        print("nothing is stored")
        return 1
    cases_of = {
        name: {
            case.name: case
            for case in (workload if name in workload.WORKLOADS else probes).load(name).cases
        }
        for name in {entry["name"] for entry in entries}
    }
    print(report.heading(entries))
    print(report.table(entries, cases_of, asked.markdown))
    if asked.into:
        text = f"{report.heading(entries)}\n{report.table(entries, cases_of, markdown=True)}"
        report.insert(asked.into, text)
    for threads in sorted({entry["threads"] for entry in entries}):
        path = asked.results / f"times-{threads}.png"
        of_count = [entry for entry in entries if entry["threads"] == threads]
        if picture.draw(path, of_count, cases_of) and not asked.markdown:
            print(f"\npicture: {path}")
    wrong = report.wrong_results(entries)
    for line in wrong:
        print(f"WRONG RESULT: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
