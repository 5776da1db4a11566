"""A CUDA version: the stages that all its Pythons share, with their inputs resolved and a reason for each."""

from functools import cached_property

from ci.config.sources import Toolkit, fill_placeholders
from ci.config.variants import Variant
from ci.plan.inputs import PlanInputs
from ci.plan.requirements import satisfies
from ci.plan.specs import Account, BaseSpec, ChannelSpec, RuntimeBaseSpec, Spec, Stage, ToolkitSpec
from ci.util.errors import UserError


class CudaStages:
    """One CUDA version, or `cpu`; each stage is made when it is asked for first.

    Raises:
        UserError: the sources have no toolkit for it.
    """

    def __init__(self, cuda: str, inputs: PlanInputs, variant: Variant) -> None:
        self.cuda = cuda
        self.wanted = variant
        self.matrix = inputs.matrix
        self.sources = inputs.sources
        self.sources_name = inputs.sources_name
        self.lock = inputs.lock
        self.code = inputs.code
        self.toolkit_source = self._toolkit_source()

    @cached_property
    def channel(self) -> Stage | None:
        """Return the stage of the conda channel that is made here, None where the sources name channels."""
        if self.sources.conda.channels:
            return None
        spec = ChannelSpec(
            image=self._place(self.sources.images.cpu), recipe=self.lock.channel(), tools=self.lock.tools()
        )
        return self.add(
            "channel", spec, (), "the sources name no conda channel: one is made from package registries"
        )

    @cached_property
    def toolkit(self) -> Stage | None:
        """Return the stage of the trimmed CUDA toolkit, None for the CPU."""
        source = self.toolkit_source
        if source is None:
            return None
        image = self._place(self.sources.images.devel)
        spec = ToolkitSpec(
            provider=source.provider,
            cuda=self.cuda,
            compiler=source.compiler,
            image=image,
            tools=self.lock.tools(),
            wheels=source.wheels,
            locked=self._locked,
            deb=source.deb,
        )
        reasons = {
            "image": f"compiler and headers out of {image}",
            "wheels": f"nvcc {source.compiler} from wheels",
            "hybrid": f"no nvcc {spec.cuda} in wheels: Debian's nvcc {source.compiler}, {spec.cuda} headers",
        }
        return self.add("toolkit", spec, (), reasons[source.provider])

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Return what the user should know about the toolkit."""
        source = self.toolkit_source
        if source is None:
            return ()
        unlocked = "the lock of the CUDA toolkit is for other wheels: taken by version, without hashes"
        return tuple(
            note for note in (source.note, unlocked if source.wheels and not self._locked else "") if note
        )

    @cached_property
    def base(self) -> Stage:
        """Return the stage of the devel base."""
        name = self.sources.images.cpu if self.cuda == "cpu" else self.sources.images.devel
        # An image that provides the toolkit has the whole of it: nothing is laid over.
        adds = self.toolkit_source is not None and self.toolkit_source.provider != "image"
        spec = BaseSpec(
            image=self._place(name),
            apt=self.matrix.apt.devel,
            tools=self.lock.tools(),
            account=self.account,
            adds_toolkit=adds,
        )
        return self.add(
            "base", spec, (self.toolkit if adds else None,), f"compilers and tools on {spec.image}"
        )

    @cached_property
    def runtime_base(self) -> Stage:
        """Return the stage of the runtime base."""
        images = self.sources.images
        name = self._place(images.cpu if self.cuda == "cpu" else images.runtime)
        apt = self.matrix.apt.runtime if self.wanted.apt is None else self.wanted.apt
        adds = self.wanted.toolkit and self.toolkit is not None
        spec = RuntimeBaseSpec(image=name, apt=apt, account=self.account, adds_toolkit=adds)
        holds = "compilers for JIT" if self.wanted.toolkit else "no compilers"
        return self.add(
            "runtime-base",
            spec,
            (self.toolkit if adds else None,),
            f"{holds} on {name}; torch's wheels bring CUDA's libraries",
        )

    def add(self, name: str, spec: Spec, parents: tuple[Stage | None, ...], reason: str) -> Stage:
        """Make a stage."""
        given = tuple(parent for parent in parents if parent is not None)
        return Stage(name=name, spec=spec, code=self.code.digest(name), parents=given, reason=reason)

    @cached_property
    def account(self) -> Account:
        """Return the user that images run as."""
        image = self.matrix.image
        return Account(user=image.user, uid=image.uid, workdir=image.workdir)

    @property
    def _locked(self) -> str | None:
        asked = self.toolkit_source.wheels if self.toolkit_source else ()
        text = self.lock.toolkit(self.sources_name, self.cuda) if asked else None
        return text if text is not None and satisfies(text, "\n".join(asked)) else None

    def _toolkit_source(self) -> Toolkit | None:
        if self.cuda == "cpu":
            return None
        if self.cuda not in self.sources.toolkit:
            have = ", ".join(self.sources.toolkit)
            raise UserError(
                f"the {self.sources_name} sources have no toolkit for CUDA {self.cuda}; they have: {have}"
            )
        return self.sources.toolkit[self.cuda]

    def _place(self, template: str) -> str:
        return fill_placeholders(template, cuda=self.cuda)
