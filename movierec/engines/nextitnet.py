"""NextItNet (Yuan et al., WSDM 2019): dilated causal convolutions over what was watched, trained with full softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from movierec.dataset import Dataset
from movierec.engines.nets.engine import SequenceEngine
from movierec.engines.nets.params import SequenceParams, defaults_for
from movierec.engines.registry import register

if TYPE_CHECKING:
    from movierec.engines.nets.body import SequenceNet, Start

CYCLE = (1, 2, 4, 8)  # dilations, repeated `cycles` times


class NextItNetParams(SequenceParams):
    """What all sequence nets have, and how deep this one is."""

    cycles: int = Field(
        2, ge=1, le=4, title="Cycles", description="Each is four blocks that look 1, 2, 4 and 8 steps back."
    )

    def dilations(self) -> tuple[int, ...]:
        """Of each block, first to last."""
        return CYCLE * self.cycles


@register(
    "nextitnet",
    title="NextItNet",
    summary="A neural net that reads what was watched in order and ranks every film as the next one.",
    needs=("torch", "scipy", "onnx", "onnxruntime"),
)
class NextItNetEngine(SequenceEngine):
    """Convolutions whose reach grows with each block."""

    Params = NextItNetParams

    @classmethod
    def defaults_for(cls, data: Dataset) -> dict[str, Any]:
        """By the size of the data, as for all sequence nets."""
        return defaults_for(data)

    def net(self, start: Start) -> SequenceNet:
        """Blocks of one dilated convolution each."""
        from movierec.engines.nets import nextitnet  # torch

        return nextitnet.make(start, self.params.dilations())

    @property
    def reach(self) -> int:
        """How many of the last films a score can depend on."""
        return 1 + 2 * sum(self.params.dilations())
