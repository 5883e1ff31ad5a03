"""`poller simulate`: the simulated exchange alone."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import typer

from poller.cli.common import exit_codes
from poller.observation import Market
from poller.simulator import IssuedKey, SimulatedExchange, serve


def simulate(
    *,
    host: str = typer.Option("127.0.0.1", help="Where to listen."),
    port: int = typer.Option(8765, help="0 takes a free one."),
    seed: int = typer.Option(0, help="Equal seeds give equal numbers at equal times."),
    allow_remote: bool = typer.Option(default=False, help="Let other machines connect."),
) -> None:
    """Run the simulated exchange alone, for a client of your own; Ctrl-C ends it."""
    with exit_codes(), suppress(KeyboardInterrupt):
        asyncio.run(serve(host, port, announce=_announce, seed=seed, allow_remote=allow_remote))


def _announce(exchange: SimulatedExchange, keys: Mapping[str, IssuedKey]) -> None:
    for market in Market:
        typer.echo(f"{market.value}  {exchange.ws_url(market)}  {exchange.rest_url(market)}")
    for label, key in keys.items():
        typer.echo(f"\naccount {label}\napi key {key.api_key}")
        typer.echo(key.private_key_pem.decode() if key.private_key_pem else f"secret  {key.api_secret}")
