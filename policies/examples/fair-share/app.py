"""The component: fair_share.py behind the contract's interface `policy`. build.py componentizes this module."""
from __future__ import annotations

from typing import Callable, ClassVar, TypeVar

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import types

import fair_share
from fair_share import Settings, Unusable

T = TypeVar("T")


class Policy(exports.Policy):
    """The interface `policy`. The runtime makes an object of it for each function, so state belongs to the class."""

    settings: ClassVar[Settings] = Settings()
    menus: ClassVar[dict[int, list[types.Strategy]]] = {}

    def describe(self) -> types.Description:
        return types.Description(
            name="fair-share",
            version="0.1.0",
            summary="Makes those jobs faster that stand highest above their floors, until every deadline holds",
            capabilities=types.Capabilities(0),
            config_schema=fair_share.SETTINGS_SCHEMA,
        )

    def configure(self, config: str, catalog: types.Catalog) -> None:
        Policy.settings = told(types.PolicyError_BadConfig, lambda: Settings.parse(config))
        self.update_catalog(catalog)

    def update_catalog(self, catalog: types.Catalog) -> None:
        self.menus.update((table.id, table.strategies) for table in catalog.tables)

    def decide(self, snapshot: types.Snapshot) -> types.Decision:
        return told(types.PolicyError_Unsupported, lambda: self.decision(snapshot))

    def decision(self, snapshot: types.Snapshot) -> types.Decision:
        chosen, all_saved = fair_share.decide(snapshot, self.menus, self.settings)
        rows = zip(snapshot.jobs, chosen)
        return types.Decision(
            assignments=[types.Assignment(job.id, strategy) for job, strategy in rows if strategy != job.current],
            order=[],
            quality=types.Quality.HEURISTIC if all_saved else types.Quality.BEST_EFFORT,
            objective=None,
            bound=None,
        )

    def observe(self, outcomes: list[types.Outcome]) -> None:
        pass

    def save(self) -> bytes:
        return b""

    def restore(self, name: str, version: str, state: bytes) -> None:
        pass


def told(kind: type, work: Callable[[], T]) -> T:
    """An exception that leaves a call is a trap without a word to the operator, so all are turned into answers here."""
    try:
        return work()
    except Unusable as error:
        raise Err(kind(str(error))) from error
    except Exception as error:
        raise Err(types.PolicyError_Internal(f"{type(error).__name__}: {error}")) from error
