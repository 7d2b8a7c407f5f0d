"""`python -m agentsim.testing`: a fake API server with realistic faults, for trying a set-up."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated, Optional

import typer

from agentsim.testing.faultserver import FaultServer
from agentsim.testing.weather import InTurn, Weather, lognormal


def main(
    port: Annotated[int, typer.Option(help="0: any free port of 127.0.0.1.")] = 0,
    latency: Annotated[float, typer.Option(help="Median seconds of an answer.", min=0)] = 0,
    tail: Annotated[float, typer.Option(help="The slowest 1 % take this many times the median.", min=1)] = 8,
    stalled: Annotated[float, typer.Option(help="Share of answers that take a minute.", min=0, max=1)] = 0,
    refused: Annotated[float, typer.Option(help="Share refused with 429 at random.", min=0, max=1)] = 0,
    bursts: Annotated[float, typer.Option(help="Share refused with 429 in bursts of 20.", min=0, max=1)] = 0,
    failed: Annotated[float, typer.Option(help="Share answered with a 5xx.", min=0, max=1)] = 0,
    reset: Annotated[float, typer.Option(help="Share whose connection is reset.", min=0, max=1)] = 0,
    malformed: Annotated[float, typer.Option(help="Share with an unusable body.", min=0, max=1)] = 0,
    endless: Annotated[float, typer.Option(help="Share whose body has no end, or is huge.", min=0, max=1)] = 0,
    empty: Annotated[float, typer.Option(help="Share without a readable answer.", min=0, max=1)] = 0,
    odd: Annotated[float, typer.Option(help="Share from another model, without usage, ...", min=0, max=1)] = 0,
    hung: Annotated[float, typer.Option(help="Share that get no answer.", min=0, max=1)] = 0,
    requests_per_minute: Annotated[Optional[int], typer.Option(help="Enforced, with Retry-After.", min=1)] = None,  # noqa: UP045
    tokens_per_minute: Annotated[Optional[int], typer.Option(help="Enforced; four bytes a token.", min=1)] = None,  # noqa: UP045
    concurrency: Annotated[Optional[int], typer.Option(help="Concurrent requests; enforced.", min=1)] = None,  # noqa: UP045
    in_turn: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            help="Requests processed at a time; others wait. Latency is then the processing time alone.", min=1
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of latencies and faults.")] = 0,
) -> None:
    """Serve OpenAI's and Anthropic's dialects on loopback until Ctrl-C, then count the faults and answers."""
    weather = Weather(
        seed=seed,
        refused=refused,
        bursts=bursts,
        failed=failed,
        reset=reset,
        malformed=malformed,
        endless=endless,
        empty=empty,
        odd=odd,
        hung=hung,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        concurrency=concurrency,
    )

    async def serve() -> None:
        delay = lognormal(latency, seed=seed, tail=tail, stalled=stalled)
        if in_turn is not None:
            delay = InTurn(delay, at_a_time=in_turn)
        async with FaultServer(weather, latency=delay, port=port, keeps_requests=False) as server:
            typer.echo(
                f"in a scenario:  providers: {{fake: {{base_url: {server.openai_url}}}}}, players: {{model: fake/any}}"
            )
            typer.echo("Ctrl-C ends it")
            ended = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, ended.set)
            await ended.wait()

    asyncio.run(serve())
    for name, n in sorted(weather.counts.items()):
        typer.echo(f"{name}: {n:,}")


if __name__ == "__main__":
    typer.run(main)
