"""`python -m tests.bench [core log http projection pair reads decisions system]`: measure all or what is named, then write docs/benchmarks.md.

About 20 minutes; TESTAMUR_SOAK=1 sustains for 5 minutes and loads a million statements. TESTAMUR_BENCH_STATEMENTS sets how many whole systems hold at the
end, TESTAMUR_BENCH_READS how many the store holds whose filters are measured, TESTAMUR_BENCH_LEARNERS how many learners are decided about,
TESTAMUR_BENCH_DIR the disk that is measured, TESTAMUR_BENCH_LOG one log of the two.
"""
import argparse
import logging
import signal
import sys

import structlog

from tests.bench import bench_core, bench_decisions, bench_http, bench_log, bench_pair, bench_projection, bench_reads, bench_system, report
from tests.bench.recipe import await_quiet

BENCHES = {"core": bench_core.main, "log": bench_log.main, "http": bench_http.main, "projection": bench_projection.main, "pair": bench_pair.main,
           "reads": bench_reads.main, "decisions": bench_decisions.main, "system": bench_system.main}


def main() -> None:
    """Run what is named, in this order."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHES, []], metavar="name", help=", ".join(BENCHES))
    parser.add_argument("--quiet", type=float, default=0, metavar="SECONDS", help="how long each may wait for a moment in which others leave the machine alone")
    given = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))  # what was started is ended on the way out, in the background too
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it reports every try to reach a broker that is still starting
    for name, bench in BENCHES.items():
        if not given.names or name in given.names:
            await_quiet(given.quiet)
            bench()
            report.main()


if __name__ == "__main__":
    main()
