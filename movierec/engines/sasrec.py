"""SASRec (Kang & McAuley, ICDM 2018): self-attention over what was watched, trained as NextItNet is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from movierec.dataset import Dataset
from movierec.engines.nets.engine import SequenceEngine
from movierec.engines.nets.params import SequenceParams, defaults_for
from movierec.engines.registry import register

if TYPE_CHECKING:
    from movierec.engines.nets.body import SequenceNet, Start


class SASRecParams(SequenceParams):
    """What all sequence nets have, and the shape of this one."""

    layers: int = Field(2, ge=1, le=8, title="Layers", description="Times that each film looks at those before it.")
    heads: int = Field(
        2, ge=1, le=8, title="Heads", description="Ways of looking at once; they share the channels evenly."
    )

    @model_validator(mode="after")
    def _heads_share_the_channels(self) -> SASRecParams:
        if self.channels % self.heads:
            raise ValueError(f"{self.channels} channels can't be shared by {self.heads} heads evenly.")
        return self


@register(
    "sasrec",
    title="SASRec",
    summary="A small transformer that weighs every film watched before to rank the next one.",
    needs=("torch", "scipy", "onnx", "onnxruntime"),
)
class SASRecEngine(SequenceEngine):
    """Attention over the last `length` films, position as a learned bias by distance."""

    Params = SASRecParams

    @classmethod
    def defaults_for(cls, data: Dataset) -> dict[str, Any]:
        """By the size of the data, as for all sequence nets."""
        return defaults_for(data)

    def net(self, start: Start) -> SequenceNet:
        """Layers of attention and feed-forward parts."""
        from movierec.engines.nets import sasrec  # torch

        return sasrec.make(start, self.params.layers, self.params.heads, self.params.length)

    @property
    def reach(self) -> int:
        """How many of the last films a score can depend on."""
        return int(self.params.length)
