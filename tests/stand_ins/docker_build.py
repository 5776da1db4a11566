"""Build a Dockerfile with the engine's own `docker_build` and publishes it: run by `daggerw run`, in a session.

    python -m tests.stand_ins.docker_build CONTEXT DOCKERFILE TARGET REFERENCE [PORT]

PORT is that of a package index on this machine's loopback, which the steps reach while the session lasts; without it
they ask the index that pip and uv ask by default.
"""

import sys
import time

import anyio
import dagger
from dagger import dag


async def main(*given: str) -> None:
    """Build and publish."""
    context, dockerfile, target, reference, *port = given
    async with dagger.connection():
        arguments = await indexed(int(port[0])) if port else []
        image = (
            dag.host()
            .directory(context)
            .docker_build(dockerfile=dockerfile, target=target, build_args=arguments)
        )
        print(await image.publish(reference))


async def indexed(port: int) -> list[dagger.BuildArg]:
    """Return the arguments that lead pip and uv to the index on a port."""
    index = dag.host().service([dagger.PortForward(backend=port, frontend=port)])
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
    return [dagger.BuildArg(name, value) for name, value in names.items()]


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
