"""Builds a Dockerfile with the engine's own `docker_build` and publishes it: run by `daggerw run`, in a session.

    python -m tests.world.docker_build CONTEXT DOCKERFILE TARGET PORT REFERENCE

PORT is that of a package index on this machine's loopback, which the steps reach while the session lasts.
"""

import sys
import time

import anyio
import dagger
from dagger import dag


async def main(*given: str) -> None:
    """Build and publish."""
    context, dockerfile, target, port, reference = given
    async with dagger.connection():
        index = dag.host().service([dagger.PortForward(backend=int(port), frontend=int(port))])
        await index.start()
        # Steps of a Dockerfile are in no session that would complete the name of a service.
        look = dag.container().from_("debian:bookworm-slim").with_env_variable("NOW", str(time.time_ns()))
        resolver = await look.with_exec(["cat", "/etc/resolv.conf"]).stdout()
        domain = next(line.split()[1] for line in resolver.splitlines() if line.startswith("search "))
        host = f"{await index.hostname()}.{domain}:{port}"
        names = {
            "PIP_INDEX_URL": f"http://{host}/simple",
            "UV_DEFAULT_INDEX": f"http://{host}/simple",
            "PIP_TRUSTED_HOST": host,
        }
        arguments = [dagger.BuildArg(name, value) for name, value in names.items()]
        image = (
            dag.host()
            .directory(context)
            .docker_build(dockerfile=dockerfile, target=target, build_args=arguments)
        )
        print(await image.publish(reference))


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
