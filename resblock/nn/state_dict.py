"""State dicts that a `ResidualLSTM` reads beside its own: of its other form, of 0.1.0, and of `torch.nn.LSTM`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from resblock.nn.parameters import REVERSE, Part, directions

if TYPE_CHECKING:
    from resblock.nn.lstm import ResidualLSTM

#: Version of a module's state dict in torch where the module names none: `torch.nn.LSTM`'s.
TORCH_VERSION = 1


def adapt(lstm: ResidualLSTM, state: dict[str, Any], prefix: str, metadata: Mapping[str, Any]) -> str | None:
    """Rename, split, stack and sum what is of another form, in place; the rest stays, for torch to report.

    Parameters
    ----------
    lstm : ResidualLSTM
    state, prefix, metadata
        As `Module._load_from_state_dict` has them.

    Returns
    -------
    str or None
        Why weights of a `torch.nn.LSTM` are refused, if they are: the stack would compute something else.
    """
    own = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    if _is_of_torch(own, metadata):
        if reason := _differs_from_torch(lstm):
            return reason
        _sum_biases(lstm, own)
    _rename_reverse(lstm, own)
    for end in directions(lstm):
        for part in lstm._parts:
            if lstm.stacked:
                _stack(part, end, own)
            else:
                _split(part, end, own)
    if lstm.num_layers == 1:
        _drop_empty(own)
    _fill_peepholes(lstm, own)
    for name in [name for name in state if name.startswith(prefix)]:
        del state[name]
    state.update({prefix + name: tensor for name, tensor in own.items()})
    return None


def _is_of_torch(own: Mapping[str, Any], metadata: Mapping[str, Any]) -> bool:
    """Tell weights of a `torch.nn.LSTM`: by its second bias, or, without biases, by their version."""
    names_of_torch = "weight_hh_l0" in own
    return "bias_hh_l0" in own or (names_of_torch and metadata.get("version") == TORCH_VERSION)


def _differs_from_torch(lstm: ResidualLSTM) -> str | None:
    if lstm.residual and lstm.num_layers >= 4:
        return (
            f"weights of a torch.nn.LSTM, which has no residual connections; this stack of {lstm.num_layers} layers "
            "has some: build it with residual=False, or with fewer than 4 layers"
        )
    if lstm.bidirectional and lstm.num_layers > 1:
        return (
            f"weights of a torch.nn.LSTM, whose directions meet after each of its {lstm.num_layers} layers; those of "
            "ResidualLSTM meet once: build it with one layer or in one direction"
        )
    return None


def _sum_biases(lstm: ResidualLSTM, own: dict[str, Any]) -> None:
    """One bias is as good as two; a stack without biases leaves both to be reported."""
    *_, biases = lstm._parts
    for end in directions(lstm):
        for name in biases.per_layer(end):
            second = name.replace("bias_ih", "bias_hh")
            if _are_tensors(own, [name, second]):
                own[name] = own[name].detach() + own.pop(second).detach()


def _rename_reverse(lstm: ResidualLSTM, own: dict[str, Any]) -> None:
    """0.1.0 held the backward direction in a module of its own."""
    if lstm.bidirectional:
        for part in lstm._parts:
            if f"reverse.{part.name}" in own:
                own.setdefault(part.name + REVERSE, own.pop(f"reverse.{part.name}"))


def _split(part: Part, end: str, own: dict[str, Any]) -> None:
    """Divide a stacked weight; layers that this stack lacks keep names of layers."""
    name, one = part.name + end, part.name == "weight_ih_first"
    if not part.layers or not _are_tensors(own, [name]) or own[name].dim() != len(part.shape) + (not one):
        return
    layers = [own[name].detach()] if one else own[name].detach().unbind()
    names = [f"{part.of_layer}_l{part.layers.start + k}{end}" for k in range(len(layers))]
    if not any(layer in own for layer in names):
        del own[name]
        # A tensor of its own for each: they may become the parameters.
        own.update({layer: tensor.clone() for layer, tensor in zip(names, layers, strict=True)})


def _stack(part: Part, end: str, own: dict[str, Any]) -> None:
    """Stack the weights of the layers from the first to the last that is there."""
    if not part.layers or part.name + end in own:
        return
    one, names = part.name == "weight_ih_first", list[str]()
    while _are_tensors(own, [following := f"{part.of_layer}_l{part.layers.start + len(names)}{end}"]):
        names.append(following)
        if one:
            break
    if len({own[name].shape for name in names}) == 1:
        layers = [own.pop(name).detach() for name in names]
        own[part.name + end] = layers[0] if one else torch.stack(layers)


def _drop_empty(own: dict[str, Any]) -> None:
    """0.1.0 had an empty parameter for the layers above the first one also where there are none."""
    for name in ("weight_ih", "weight_ih" + REVERSE):
        if _are_tensors(own, [name]) and not own[name].numel():
            del own[name]


def _fill_peepholes(lstm: ResidualLSTM, own: dict[str, Any]) -> None:
    """Zeros for absent peepholes, where whatever these weights are of computes the same without."""
    if _differs_from_torch(lstm) or any(name.startswith("weight_peephole") for name in own):
        return
    for first, later, recurrent, peepholes, _ in lstm._names.values():
        if _are_tensors(own, [*first, *later, *recurrent]):
            weight = own[recurrent[0]].detach()
            for name in peepholes:
                if (like := lstm._parameters.get(name)) is not None:
                    own[name] = weight.new_zeros(like.shape)


def _are_tensors(own: Mapping[str, Any], names: list[str]) -> bool:
    return all(isinstance(own.get(name), Tensor) for name in names)
