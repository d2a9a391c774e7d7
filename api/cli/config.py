"""`rag config`: the settings as they are in effect, and which tiers are live and why."""

from __future__ import annotations

from api.cli.options import JsonOption, print_json


def config(json: JsonOption = False) -> None:
    """Show the effective settings, secrets hidden, and which tiers are live and why."""
    from api.assembly.tiers import tiers
    from api.cli.tables.answers import print_config
    from api.settings import load_settings

    settings = load_settings()
    live = tiers(settings)
    if json:
        rows = [{"tier": tier.name, "live": tier.is_live, "why": tier.why} for tier in live]
        print_json({"settings": settings.model_dump(mode="json"), "tiers": rows})
    else:
        print_config(settings, live)
