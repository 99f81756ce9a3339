"""What the benchmark measures: the tables, their points, and the goals they are held against.

A *table* has cases (payload sizes, numbers of nodes); a *case* has variants, each of which is one program
run that prints one JSON object; a *metric* is a number of that object. A *goal* compares the metric of the
table's subject, which is weft, with a bound or with another variant of the same round."""

from dataclasses import dataclass, field

WEFT = "weft"
PEERS = ["bare TCP", "libzmq", "NNG", "NATS", "Redis", "Mosquitto"]
PROGRAM = {"bare TCP": "tcp", "libzmq": "zmq", "NNG": "nng", "NATS": "nats", "Redis": "redis",
           "Mosquitto": "mosquitto"}
BROKER = {"NATS": "nats", "Redis": "redis", "Mosquitto": "mosquitto"}

SIZES = [(16, "16 B"), (256, "256 B"), (1024, "1 KiB"), (16384, "16 KiB")]
NODES = [10, 25, 50, 100]
OTHERS = 100_000


@dataclass
class Run:
    """One program run: the system's name in PROGRAM or WEFT, and the arguments behind it."""
    system: str
    args: list


@dataclass
class Case:
    label: str
    runs: dict  # variant: Run
    x: float = 0  # its place on a chart's axis


@dataclass
class Metric:
    key: str
    label: str
    unit: str = "count"  # how report.py writes it: rate, bytes_rate, ns, seconds, bytes, kib, percent, ratio
    chart: bool = True
    untold: bool = False  # may be missing from a result: not every allocator tells what is in use


@dataclass
class Goal:
    case: str
    metric: str
    bound: float
    least: bool  # at least the bound, or at most
    versus: str = None  # the variant of the same round it is divided by; None: the figure itself
    below: bool = False  # strictly under the bound


@dataclass
class Table:
    name: str
    title: str
    what: str  # what is measured and how, for the report
    cases: list
    metrics: list
    goals: list
    subject: str = WEFT
    chart: str = "bars"
    log: bool = False
    lossless: bool = False  # a goal counts as reached only where nothing was lost
    more: bool = True  # more is better
    x_label: str = ""
    notes: list = field(default_factory=list)


def everyone(args, peers=PEERS):
    """weft and all the peers with the same arguments."""
    return {WEFT: Run(WEFT, args)} | {peer: Run(peer, args) for peer in peers}


def throughput(seconds):
    cases = [Case(label, everyone(["throughput", "--size", str(size), "--seconds", seconds]), size)
             for size, label in SIZES]
    goals = [Goal(label, "msgs_per_s", bound, True, peer)
             for _, label in SIZES for peer, bound in (("libzmq", 3), ("bare TCP", 0.5))]
    return Table(
        "throughput", "Throughput, small and medium payloads",
        "One publisher process sends to one subscriber process over loopback TCP as fast as it can. The rate is "
        "what the subscriber received between its first and its last message; every message carries a number, and "
        "the subscriber checks the order and counts what is missing.",
        cases, [Metric("msgs_per_s", "messages a second", "rate")], goals,
        chart="lines", log=True, lossless=True, x_label="payload, bytes")


def large(seconds):
    run = ["throughput", "--size", str(1 << 20), "--seconds", seconds]
    return Table(
        "large", "Throughput, 1 MiB payloads",
        "The same with payloads of 1 MiB, in bytes of payload a second.",
        [Case("1 MiB", everyone(run))], [Metric("bytes_per_s", "payload a second", "bytes_rate")],
        [Goal("1 MiB", "bytes_per_s", 0.8, True, "bare TCP")], lossless=True)


def latency(seconds):
    return Table(
        "latency", "Round trip of 64 B",
        "Two processes; a message goes there, and the callback that gets it sends it back. Timed at the first "
        "process from sending to its own callback, one at a time. Less is better.",
        [Case("64 B", everyone(["latency", "--size", "64", "--seconds", seconds]))],
        [Metric("p50_ns", "p50", "ns"), Metric("p99_ns", "p99", "ns")],
        [Goal("64 B", "p50_ns", 1.25, False, "bare TCP"), Goal("64 B", "p99_ns", 1.5, False, "bare TCP")],
        log=True, more=False)


def fanout(seconds):
    run = ["fanout", "--size", "256", "--subscribers", "10", "--seconds", seconds]
    return Table(
        "fanout", "Fan-out to 10 subscribers",
        "One publisher process, ten subscriber processes, 256 B. Deliveries a second, all subscribers together.",
        [Case("256 B", everyone(run))], [Metric("deliveries_per_s", "deliveries a second", "rate")],
        [Goal("256 B", "deliveries_per_s", 3, True, "libzmq")], lossless=True)


def fate(seconds):
    run = ["fanout", "--size", "256", "--subscribers", "10", "--seconds", seconds, "--stop"]
    return Table(
        "fate", "Fan-out with one of the 10 stopped",
        "The same, and half-way one subscriber process is stopped with SIGSTOP. Deliveries to the other nine, after "
        "against before; messages that the other nine lost are shown as lost.",
        [Case("256 B", everyone(run))],
        [Metric("ratio", "after ÷ before", "ratio"),
         Metric("others_after_per_s", "deliveries a second after", "rate", chart=False)],
        [Goal("256 B", "ratio", 0.9, True)], lossless=True)


def local(seconds):
    cases = [Case(label, everyone(["local", "--size", str(size), "--mode", "recv", "--seconds", seconds],
                                  ["libzmq", "NNG"])) for size, label in (SIZES[0], SIZES[2])]
    return Table(
        "local", "From thread to thread in one process",
        "One thread sends, another receives. weft: weft_send and weft_recv in one node; libzmq and NNG: their "
        "inproc transport.",
        cases, [Metric("msgs_per_s", "messages a second", "rate")],
        [Goal(label, "msgs_per_s", 2, True, "libzmq") for _, label in (SIZES[0], SIZES[2])], lossless=True)


def callback(seconds):
    cases = [Case(label, {WEFT: Run(WEFT, ["local", "--size", str(size), "--mode", "callback", "--seconds",
                                           seconds])}) for size, label in (SIZES[0], SIZES[2])]
    return Table(
        "callback", "To a callback on the loop thread",
        "One node on the caller's loop; weft_send on the loop thread to a callback on the same thread. Time a "
        "message, all in. Less is better.",
        cases, [Metric("ns_per_msg", "a message", "ns")],
        [Goal("16 B", "ns_per_msg", 60, False, below=True)], more=False)


def many(seconds):
    run = ["throughput", "--size", "256", "--seconds", seconds]
    return Table(
        "many", "Throughput with 100,000 other routes",
        "Throughput at 256 B as above, with 100,000 other routes declared on both sides, against one route.",
        [Case("256 B", {"100,000 others": Run(WEFT, run + ["--other-routes", str(OTHERS)]),
                        "one route": Run(WEFT, run)})],
        [Metric("msgs_per_s", "messages a second", "rate")],
        [Goal("256 B", "msgs_per_s", 0.95, True, "one route")], subject="100,000 others", lossless=True)


def routes():
    run = Run(WEFT, ["routes", "--count", str(OTHERS), "--patterns", "1000"])
    return Table(
        "routes", "Declaring 100,000 interests to a peer with 100,000 intents",
        "Two nodes; 1,000 of the interests are patterns. Seconds from the first declaration until both sides know "
        "every match; memory a route is what the heap of each side has grown by. Less is better.",
        [Case("100,000", {WEFT: run})],
        [Metric("seconds", "all matched", "seconds"),
         Metric("bytes_per_intent", "memory, an intent", "bytes", chart=False, untold=True),
         Metric("bytes_per_interest", "memory, an interest", "bytes", chart=False, untold=True)],
        [Goal("100,000", "seconds", 1, False, below=True),
         Goal("100,000", "bytes_per_intent", 400, False, below=True),
         Goal("100,000", "bytes_per_interest", 400, False, below=True)], more=False)


def mesh():
    cases = [Case(f"{count} nodes", {WEFT: Run(WEFT, ["mesh", "--nodes", str(count)])}, count) for count in NODES]
    last = cases[-1].label
    return Table(
        "mesh", "Mesh formation",
        "So many nodes in one process over loopback TCP, each knowing one seed. Seconds until each is linked to all "
        "others; connections that were closed as duplicates, against links; heap a link once it is quiet, both ends "
        "of which are in this process. Less is better.",
        cases, [Metric("seconds", "until full", "seconds"),
                Metric("duplicates_percent", "duplicates", "percent", chart=False),
                Metric("kib_per_link", "memory of a link", "kib", chart=False, untold=True)],
        [Goal(last, "seconds", 5, False, below=True),
         Goal(last, "duplicates_percent", 5, False, below=True),
         Goal(last, "kib_per_link", 24, False, below=True)],
        chart="lines", log=True, more=False, x_label="nodes")


def idle(seconds):
    return Table(
        "idle", "A node of one peer at 10 messages a second",
        "CPU time of the process that receives, user and system, by getrusage. Less is better.",
        [Case("10/s", {WEFT: Run(WEFT, ["idle", "--rate", "10", "--seconds", seconds])})],
        [Metric("cpu_percent", "CPU of one core", "percent")],
        [Goal("10/s", "cpu_percent", 0.1, False, below=True)], more=False)


def tables(quick):
    """All tables; `quick` looks at each point for a fraction of the time."""
    short, middle, long = ("0.2", "0.4", "1") if quick else ("0.6", "2", "4")
    return [throughput(short), large(short), latency(short), fanout(short), fate(middle), local(short),
            callback(short), many(short), routes(), mesh(), idle(long)]
