"""A run as OpenTelemetry knows it: one span, one for each request in it, and metrics.

Off unless the standard OTEL_* environment asks for it. What is told names rows by number and transfer id,
never clients, amounts, logins, or a provider's words. Whatever the collector does, a run goes on, and its end
waits for it a few seconds at the most: everything is handed over in threads of the SDK's own.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from batchcredit import host
from batchcredit.console.base import Console
from batchcredit.engine.judgement import Judged
from batchcredit.engine.lane import Lane, LaneState
from batchcredit.engine.loop import now
from batchcredit.engine.queue import Job
from batchcredit.errors import BatchcreditError
from batchcredit.runner.plan import Plan
from batchcredit.runner.summary import Summary

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Observation

#: So long the end of a run waits for a collector.
END_MOST_S = 3.0

#: So long one delivery to it may take, unless OTEL_EXPORTER_OTLP_TIMEOUT says otherwise.
_DELIVERY_S = 3

_ENDPOINTS = tuple(f"OTEL_EXPORTER_OTLP{part}_ENDPOINT" for part in ("", "_TRACES", "_METRICS"))
_EXPORTERS = ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER")


def is_wanted(env: Mapping[str, str]) -> bool:
    """Whether the environment asks for it: by an endpoint or by an exporter's name."""
    if env.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    return any(env.get(name) for name in _ENDPOINTS) or any(env.get(name) == "otlp" for name in _EXPORTERS)


@contextmanager
def observed(console: Console, command: str) -> Iterator[Console]:
    """The same console; a collector hears of what it is told, where the environment asks for that."""
    if not is_wanted(os.environ):
        yield console
        return
    try:
        telemetry = Telemetry(command)
    except ModuleNotFoundError:
        console.warn(f"the environment asks for OpenTelemetry: {host.to_install('otel')}")
        yield console
        return
    except ValueError:  # its words may quote a secret
        console.warn("OpenTelemetry refuses what an OTEL_... variable says: no collector hears of this run")
        yield console
        return
    try:
        yield cast(Console, _Overheard(console, telemetry))
    except BaseException as error:
        telemetry.fail(error)
        raise
    finally:
        if not telemetry.close():
            console.warn("OpenTelemetry: the collector did not take all of it; the run is as it says here")


class Telemetry:
    """What is told to a collector, from one run."""

    def __init__(self, command: str) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider

        self._faults = _Faults()
        resource = Resource.create(
            {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "batchcredit"}
        )
        self._tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._meters = MeterProvider(_readers(), resource=resource, shutdown_on_exit=False)
        if processor := _span_processor():
            self._tracers.add_span_processor(processor)
        self._tracer = self._tracers.get_tracer("batchcredit")
        self._run = self._tracer.start_span(f"batchcredit {command}")
        self._within = trace.set_span_in_context(self._run)
        self._ledger, self._batch = "", ""
        self._standing: dict[str, tuple[int, int, int]] = {}
        self._measure()

    def _measure(self) -> None:
        meter = self._meters.get_meter("batchcredit")
        self._requests = meter.create_counter("batchcredit.requests", "{request}", "Requests that have ended")
        self._endings = meter.create_counter("batchcredit.endings", "{row}", "What became of rows")
        self._duration = meter.create_histogram("batchcredit.request.duration", "s", "Durations of requests")
        for place, (name, unit) in enumerate(
            (("in_flight", "{request}"), ("rows_left", "{row}"), ("paused", "1"))
        ):
            meter.create_observable_gauge(f"batchcredit.{name}", [self._gauge(place)], unit)

    def _gauge(self, place: int) -> Any:
        from opentelemetry.metrics import Observation

        def observe(_: "CallbackOptions") -> Iterator["Observation"]:
            standing = dict(self._standing)  # written by another thread
            for profile, values in standing.items():
                yield Observation(values[place], self._attributes(profile))

        return observe

    def _attributes(self, profile: str) -> dict[str, str]:
        return {"batchcredit.batch": self._batch, "batchcredit.profile": profile}

    def plan(self, plan: Plan) -> None:
        """From now on the batch has a name."""
        self._ledger, self._batch = plan.ledger.id, plan.batch
        self._run.set_attributes({"batchcredit.batch": plan.batch, "batchcredit.mode": plan.mode})

    def hear(self, lane: Lane, job: Job, judged: Judged, duration_ms: int) -> None:
        """A request has ended."""
        outcome, ended_ns = judged.outcome, time.time_ns()
        attributes: dict[str, str | int] = {**self._attributes(lane.profile)}
        if outcome.http_status is not None:
            attributes["http.response.status_code"] = outcome.http_status
        self._requests.add(1, attributes)
        self._duration.record(duration_ms / 1000, attributes)
        ending = {"batchcredit.outcome": outcome.event.value, "batchcredit.reason": outcome.reason}
        self._endings.add(1, self._attributes(lane.profile) | ending)
        row: dict[str, str | int] = {
            "batchcredit.row": job.transfer.row,
            "batchcredit.transfer_id": job.transfer.id_in(self._ledger),
        }
        span = self._tracer.start_span(
            "request",
            self._within,
            attributes=attributes | ending | row,
            start_time=ended_ns - duration_ms * 10**6,
        )
        span.end(ended_ns)

    def progress(self, lanes: Sequence[Lane]) -> None:
        """Where the lanes are."""
        self._standing = {
            lane.profile: (
                lane.in_flight,
                max(0, lane.rows - lane.meter.done),
                int(lane.state is LaneState.PAUSED or lane.paused_until > now()),
            )
            for lane in lanes
        }

    def end(self, summary: Summary) -> None:
        """How the batch stands."""
        counts = {f"batchcredit.rows.{status}": number for status, number in summary.counts.items()}
        self._run.set_attributes({"batchcredit.exit_code": summary.exit_code, **counts})

    def fail(self, error: BaseException) -> None:
        """What ended the run, in a word."""
        from opentelemetry.trace import Status, StatusCode

        reason = error.reason if isinstance(error, BatchcreditError) else type(error).__name__
        self._run.set_attribute("batchcredit.reason", reason)
        self._run.set_status(Status(StatusCode.ERROR))

    def close(self) -> bool:
        """Hand over what is left; whether all was taken in time."""
        self._run.end()
        closing = threading.Thread(target=self._shut_down, daemon=True)
        closing.start()
        closing.join(END_MOST_S)
        return not (closing.is_alive() or self._faults.heard)

    def _shut_down(self) -> None:
        self._tracers.shutdown()
        self._meters.shutdown()


class _Faults(logging.Handler):
    """Hears what the SDK complains of, which is not for our stderr, and may quote an address with a key."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard = False
        logger = logging.getLogger("opentelemetry")
        logger.handlers, logger.propagate = [self], False

    def emit(self, record: logging.LogRecord) -> None:
        self.heard = True


def _timeout_s(part: str) -> float | None:
    """None leaves it to the environment."""
    named = (f"OTEL_EXPORTER_OTLP_{part}_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
    return None if any(os.environ.get(name) for name in named) else _DELIVERY_S


def _span_processor() -> Any:
    if os.environ.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(OTLPSpanExporter(timeout=_timeout_s("TRACES")))


def _readers() -> list[Any]:
    if os.environ.get("OTEL_METRICS_EXPORTER", "otlp") != "otlp":
        return []
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    return [PeriodicExportingMetricReader(OTLPMetricExporter(timeout=_timeout_s("METRICS")))]


class _Overheard:
    """`console`, and a collector that hears with it."""

    listens = True

    def __init__(self, console: Console, telemetry: Telemetry) -> None:
        self._console, self._telemetry = console, telemetry

    def __getattr__(self, name: str) -> Any:
        return getattr(self._console, name)

    def show_plan(self, plan: Plan) -> None:
        self._telemetry.plan(plan)
        self._console.show_plan(plan)

    def hear(self, lane: Lane, job: Job, judged: Judged, duration_ms: int) -> None:
        self._telemetry.hear(lane, job, judged, duration_ms)
        if self._console.listens:
            self._console.hear(lane, job, judged, duration_ms)

    def progress(self, lanes: Sequence[Lane]) -> None:
        self._telemetry.progress(lanes)
        self._console.progress(lanes)

    def show_summary(self, summary: Summary) -> None:
        self._telemetry.end(summary)
        self._console.show_summary(summary)
