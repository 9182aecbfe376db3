"""What torch keeps to itself and the operators use, all in one place: any release may move it.

Where this torch lacks a name, something public stands in that takes longer, or nothing: `MISSING` then tells
`derivatives` to register through torch's public interface, which knows the kernels' first derivatives in reverse mode;
all else is done in plain torch operations.
"""

from __future__ import annotations

import pkgutil
from typing import Any, Final

from torch import Tensor
from torch.autograd import forward_ad

MISSING: Final[list[str]] = []


def _private(place: str, instead: Any = None) -> Any:
    try:
        return pkgutil.resolve_name(place)
    except (ImportError, AttributeError):
        MISSING.append(place)
        return instead


def requires_grad(*arguments: object) -> bool:
    """Whether one of the tensors among them does."""
    return any(isinstance(argument, Tensor) and argument.requires_grad for argument in arguments)


# What cannot be told is taken for so.
any_requires_grad: Final = _private("torch._C._any_requires_grad", requires_grad)
transforms_are_active: Final = _private("torch._C._are_functorch_transforms_active", lambda: True)
dispatch_modes: Final = _private("torch._C._len_torch_dispatch_stack", lambda: 1)
has_storage: Final = _private("torch._C._has_storage", lambda tensor: False)
is_wrapped: Final = _private("torch._C._functorch.is_functorch_wrapped_tensor", lambda tensor: False)
unwrapped: Final = _private("torch._C._functorch.get_unwrapped")

# What `autograd` registers with.
BelowAutograd: Final = _private("torch._C._AutoDispatchBelowAutograd")
after_autograd: Final = _private("torch._C._after_autograd_keyset")
one_level: Final = _private("torch._functorch.utils.enable_single_level_autograd_function")
forward_mode_enabled: Final = _private("torch.autograd.forward_ad._set_fwd_grad_enabled")


def in_forward_mode() -> bool:
    """Whether a level of forward mode is open, but for those that compiled graphs open."""
    level: int = getattr(forward_ad, "_current_level", 0)
    return level >= 0


def has_tangent(tensor: Tensor) -> bool:
    """Whether it has a tangent at the innermost level."""
    return forward_ad.unpack_dual(tensor, level=0).tangent is not None  # type: ignore[no-untyped-call]
