"""OpenTelemetry: what a real collector receives, and that a run does not depend on one."""

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from command_line import SECRETS, CommandLine, Sandbox
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

ROWS = [
    ("clicksend", 7301, "91.37", "USD", "ref-ada"),
    ("clicksend", 7320404, "92.37", "USD", "ref-alan"),
    ("fastmessage", "grace-hopper", "93.37", "KES", "ref-grace"),
    ("clicksend", 7303, "94.37", "USD", "ref-edsger"),
]
PRIVATE = (b"7301", b"7320404", b"7303", b"grace-hopper", b"ref-", b".37", b"half an answer")


@dataclass
class Collector:
    """What was sent to a collector on loopback."""

    url: str
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)

    def spans(self) -> list[Any]:
        return [
            span
            for path, body in self.bodies
            if path == "/v1/traces"
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metrics(self) -> dict[str, Any]:
        """The last of each name."""
        return {
            metric.name: metric
            for path, body in self.bodies
            if path == "/v1/metrics"
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@contextmanager
def collector(status: int = 200) -> Iterator[Collector]:
    """One that takes everything, or answers with another status."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            heard.bodies.append((self.path, body))
            heard.headers.append(str(self.headers))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    heard = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def attributes(of: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in of.attributes}


def sent(shop: CommandLine, url: str, *flags: object, **env: str) -> Any:
    shop.env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"} | env
    return shop("run", shop.write("batch.csv", ROWS), "--yes", "--json", "--batch", "march", *flags)


def test_a_collector_learns_of_requests_and_of_no_client(shop: CommandLine, sandbox: Sandbox) -> None:
    """A span of the run and one of each request in it, and metrics that say the same; the ids are those of
    the results, and nothing tells who the clients are, how much they got, or a secret."""
    sandbox.control.script("7303", ["half_answer"])
    with collector() as heard:
        ended = sent(shop, heard.url)
    assert ended.code == 3
    (run,) = [span for span in heard.spans() if span.name == "batchcredit run"]
    requests = [span for span in heard.spans() if span.name == "request"]
    assert {span.parent_span_id for span in requests} == {run.span_id}
    told = {attributes(span)["batchcredit.row"]: attributes(span) for span in requests}
    results = {int(row["row"]): row for row in shop.results("march.results.csv")}
    assert told.keys() == results.keys() == {1, 2, 3, 4}
    for row, said in told.items():
        assert said["batchcredit.transfer_id"] == results[row]["transfer_id"]
        assert said["batchcredit.reason"] == results[row]["reason"]
        assert said["batchcredit.profile"] == results[row]["provider"]
        assert str(said.get("http.response.status_code", "")) == results[row]["http_status"]
    assert all(span.end_time_unix_nano >= span.start_time_unix_nano > 0 for span in requests)
    assert attributes(run)["batchcredit.exit_code"] == 3
    assert attributes(run)["batchcredit.rows.credited"] == 2
    found = heard.metrics()
    points = found["batchcredit.endings"].sum.data_points
    endings = {attributes(point)["batchcredit.outcome"]: point.as_int for point in points}
    assert endings["reject"] == endings["doubt"] == 1
    assert sum(point.as_int for point in found["batchcredit.requests"].sum.data_points) == 4
    assert sum(each.count for each in found["batchcredit.request.duration"].histogram.data_points) == 4
    left = {point.as_int for point in found["batchcredit.rows_left"].gauge.data_points}
    assert left == {0}
    assert {"batchcredit.in_flight", "batchcredit.paused"} <= found.keys()
    everything = b"".join(body for _, body in heard.bodies) + "".join(heard.headers).encode()
    assert b"march" in everything, "the sweep looks at what can be read"
    secrets = [*SECRETS.values(), sandbox.login]
    assert not [part for part in (*PRIVATE, *(text.encode() for text in secrets)) if part in everything]


def test_a_sampler_and_a_name_are_the_environment_s(shop: CommandLine, sandbox: Sandbox) -> None:
    """OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME and OTEL_METRICS_EXPORTER mean what they mean elsewhere."""
    with collector() as heard:
        env = {"OTEL_TRACES_SAMPLER": "always_off", "OTEL_SERVICE_NAME": "topups"}
        assert sent(shop, heard.url, **env).code == 1
        assert heard.spans() == []
        assert any(b"topups" in body for _, body in heard.bodies)
        heard.bodies.clear()
        shop.env |= {"OTEL_METRICS_EXPORTER": "none", "OTEL_TRACES_SAMPLER": "always_on"}
        assert shop("resume", "march", "--yes", "--include", "rejected").code == 1
        assert {path for path, _ in heard.bodies} == {"/v1/traces"}
        assert {span.name for span in heard.spans()} == {"batchcredit resume", "request"}


def test_nothing_is_sent_unless_it_is_asked_for(shop: CommandLine, sandbox: Sandbox) -> None:
    """Without the environment no collector is looked for, and the SDK is not even imported."""
    with collector() as heard:
        assert sent(shop, heard.url, OTEL_SDK_DISABLED="true").code == 1
        assert heard.bodies == []
    del shop.env["OTEL_EXPORTER_OTLP_ENDPOINT"]
    code = (
        "import sys; from batchcredit.cli import run; run(['run', 'batch.csv', '--yes', '-q']); "
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    assert shop.program(sys.executable, "-c", code).returncode == 0


@contextmanager
def hanging() -> Iterator[str]:
    """A collector that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def dead_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("kind", ["hanging", "dead", "refusing"])
def test_a_collector_in_trouble_harms_no_run(kind: str, shop: CommandLine, sandbox: Sandbox) -> None:
    """All is sent, the end comes within seconds, one line says that not all was taken, and stderr has no
    traceback and no address."""
    secret_path = "/key-of-a-collector"
    started = time.monotonic()
    if kind == "hanging":
        with hanging() as url:
            ended = sent(shop, url + secret_path, OTEL_EXPORTER_OTLP_TIMEOUT="60")
    elif kind == "refusing":
        with collector(status=400) as heard:
            ended = sent(shop, heard.url + secret_path)
    else:
        ended = sent(shop, dead_url() + secret_path)
    assert ended.code == 1, ended
    assert time.monotonic() - started < 15
    assert len(sandbox.book()) == 3
    assert "the collector did not take all of it" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "key-of-a-collector" not in ended.stderr


def test_an_extra_that_is_not_installed_is_told(shop: CommandLine, sandbox: Sandbox) -> None:
    """The run goes on without it."""
    (shop.folder / "opentelemetry.py").write_text("raise ModuleNotFoundError(name='opentelemetry')\n")
    shop.env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "PYTHONSAFEPATH": ""}
    shop.write("batch.csv", ROWS)
    ended = shop.program(sys.executable, "-m", "batchcredit", "run", "batch.csv", "--yes")
    assert ended.returncode == 1, ended
    assert "pip install 'batchcredit[otel]'" in ended.stderr


@pytest.mark.parametrize("wrong", ["OTEL_BSP_MAX_QUEUE_SIZE=0", "OTEL_METRICS_EXEMPLAR_FILTER=none"])
def test_a_variable_that_it_does_not_take_holds_up_no_run(
    wrong: str, shop: CommandLine, sandbox: Sandbox
) -> None:
    """The run goes on, and says it."""
    name, _, value = wrong.partition("=")
    shop.env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", name: value}
    ended = shop("run", shop.write("batch.csv", ROWS[:1]), "--yes")
    assert (ended.code, "no collector hears of this run" in ended.stderr) == (0, True), ended
    assert len(sandbox.book()) == 1
