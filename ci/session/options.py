"""Hold the module's options for one call, and repeat them for messages."""

from dataclasses import dataclass

import dagger

from ci.choices import MAX_JOBS
from ci.plan.inputs import Options
from ci.plan.planner import parse_archs, parse_ray_mode
from ci.util.errors import UserError

_DEFAULTS = Options()


@dataclass(frozen=True, kw_only=True)
class CallOptions:
    """The options of the module as a caller gave them.

    Without `sources`, those of the committed Dockerfiles are used.
    """

    sources: str | None = None
    mirrors: dagger.File | None = None
    mirror_service: dagger.Service | None = None
    matrix_file: dagger.File | None = None
    archs: str | None = None
    jobs: int | None = None
    ray_mode: str = _DEFAULTS.ray
    variant: str = _DEFAULTS.variant
    from_bundle: dagger.Directory | None = None

    def plan_options(self) -> Options:
        """Check the options that need no file, and return those that plans depend on.

        Raises:
            UserError: one of them is not accepted.
        """
        if self.jobs is not None and not 1 <= self.jobs <= MAX_JOBS:
            raise UserError(f"bad number of jobs {self.jobs}; accepted: 1 to {MAX_JOBS}")
        return Options(
            archs=parse_archs(self.archs) if self.archs is not None else None,
            ray=parse_ray_mode(self.ray_mode),
            variant=self.variant,
        )

    async def flags(self, sources: str) -> tuple[str, ...]:
        """Return the options as typed, with the sources in use: `--sources=upstream`, `--jobs=2`.

        A file is shown by its name, a service and a folder by a placeholder.
        """
        values = {
            "sources": sources,
            "mirrors": await self.mirrors.name() if self.mirrors else None,
            "mirror-service": "tcp://HOST:PORT" if self.mirror_service else None,
            "matrix-file": await self.matrix_file.name() if self.matrix_file else None,
            "archs": self.archs,
            "jobs": self.jobs,
            "ray-mode": None if self.ray_mode == _DEFAULTS.ray else self.ray_mode,
            "variant": None if self.variant == _DEFAULTS.variant else self.variant,
            "from-bundle": "PATH" if self.from_bundle else None,
        }
        return tuple(f"--{name}={value}" for name, value in values.items() if value is not None)
