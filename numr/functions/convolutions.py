"""Convolutions of neural networks: windows, and one product of matrices or a direct sum over them."""

from __future__ import annotations

from typing import Any

from numr import messages
from numr.array import Array, from_node
from numr.errors import ShapeError
from numr.functions.manipulation import count
from numr.functions.operands import NUMERIC, plain, promoted
from numr.functions.windowing import Numbers, padded, paddings, whole_numbers, window_counts
from numr.ir.node import Node
from numr.primitives.contraction import matmul
from numr.primitives.elementwise import add, mul
from numr.primitives.reduction import reduce_sum
from numr.primitives.shape import BROADCAST, SLICE, permute, reshape
from numr.primitives.windows import overlapped, windows


def _operands(
    name: str, x: Any, weight: Any, bias: Any, spatial: int
) -> tuple[Node, Node, Node | None]:
    given = (x, weight) if bias is None else (x, weight, bias)
    nodes, _ = promoted(name, given, NUMERIC)
    a, w = nodes[:2]
    if w.rank != spatial + 2 or a.rank not in (spatial + 1, spatial + 2):
        raise messages.shape_mismatch(
            name,
            ("x", "weight"),
            (plain(a.shape), plain(w.shape)),
            hint=f"x is (N, C, {'H, W' if spatial == 2 else 'L'}), N may be absent; weight has "
            f"{spatial + 2} axes",
        )
    return a, w, nodes[2] if len(nodes) == 3 else None


def _grouped(
    name: str, a: Node, w: Node, b: Node | None, groups: Any, inputs: int, outputs: int
) -> None:
    """Check channels: `inputs` of x, `outputs` of the result, and of the bias."""
    (groups,) = whole_numbers(name, "groups", groups, 1, 1)
    shapes = (plain(a.shape), plain(w.shape))
    if a.shape[1] != inputs or a.shape[1] % groups or outputs % groups:
        raise messages.shape_mismatch(
            name,
            ("x", "weight"),
            shapes,
            hint=f"x has {int(a.shape[1])} channels and the weight is for {int(inputs)}, "
            f"in {groups} group{'s' if groups > 1 else ''}",
        )
    if b is not None and plain(b.shape) != (outputs,):
        raise messages.shape_mismatch(
            name,
            ("weight", "bias"),
            (plain(w.shape), plain(b.shape)),
            hint=f"the bias has one number for each of {int(outputs)} output channels",
        )


def _with_bias(out: Node, b: Node | None, batched: bool) -> Array:
    if b is not None:
        out = add(out, BROADCAST(b, shape=out.shape, axes=(1,)))
    return from_node(out if batched else reshape(out, out.shape[1:]))


def _convolution(
    name: str,
    spatial: int,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
) -> Array:
    a, w, b = _operands(name, x, weight, bias, spatial)
    batched = a.rank == spatial + 2
    a = a if batched else reshape(a, (1, *a.shape))
    strides = whole_numbers(name, "stride", stride, spatial, 1)
    dilations = whole_numbers(name, "dilation", dilation, spatial, 1)
    per_group = w.shape[1]
    inputs = per_group * groups if isinstance(groups, int) and groups > 1 else per_group
    _grouped(name, a, w, b, groups, inputs, w.shape[0])
    taps = w.shape[2:]
    widths = paddings(name, padding, a.shape[2:], taps, strides, dilations)
    a = padded(a, widths, 0)
    places = window_counts(name, a.shape[2:], taps, strides, dilations)
    steps = (taps, strides, dilations, places)
    if per_group == 1:
        out = _direct(windows(a, range(2, 2 + spatial), *steps), w, groups)
    else:
        # Channels and taps first: the columns of the product, as they are in memory.
        channels_first = permute(a, (1, 0, *range(2, 2 + spatial)))
        out = _by_matmul(windows(channels_first, range(2, 2 + spatial), *steps, 1), w, groups)
    return _with_bias(out, b, batched)


def _direct(seen: Node, w: Node, groups: int) -> Node:
    """Channels that are convolved each on its own: a sum over the taps."""
    n, channels, *rest = seen.shape
    spatial = len(rest) // 2
    places, taps = rest[:spatial], rest[spatial:]
    if groups == w.shape[0]:  # one filter for each channel
        shape = seen.shape
        spread = BROADCAST(
            reshape(w, (w.shape[0], *taps)), shape=shape, axes=(1, *range(2 + spatial, len(shape)))
        )
        return reduce_sum(mul(seen, spread), axes=tuple(range(2 + spatial, len(shape))))
    filters = w.shape[0] // groups
    shape = (n, channels, filters, *places, *taps)
    last = tuple(range(3 + spatial, len(shape)))
    spread = BROADCAST(reshape(w, (channels, filters, *taps)), shape=shape, axes=(1, 2, *last))
    seen = BROADCAST(seen, shape=shape, axes=(0, 1, *range(3, len(shape))))
    out = reduce_sum(mul(seen, spread), axes=last)
    return reshape(out, (n, w.shape[0], *places))


def _by_matmul(columns: Node, w: Node, groups: int) -> Node:
    """Filters times the columns of all windows, (C, taps.., N, places..), a product for each group."""
    filters, per_group, *taps = w.shape
    n, *places = columns.shape[1 + len(taps) :]
    rows, many = count((per_group, *taps)), count((n, *places))
    if groups == 1:
        out = matmul(reshape(w, (filters, rows)), reshape(columns, (rows, many)))
    else:
        out = matmul(
            reshape(w, (groups, filters // groups, rows)), reshape(columns, (groups, rows, many))
        )
    out = reshape(out, (filters, n, *places))
    return permute(out, (1, 0, *range(2, out.rank)))


def _transposed(
    name: str,
    spatial: int,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    dilation: Any,
    groups: Any,
) -> Array:
    a, w, b = _operands(name, x, weight, bias, spatial)
    batched = a.rank == spatial + 2
    a = a if batched else reshape(a, (1, *a.shape))
    strides = whole_numbers(name, "stride", stride, spatial, 1)
    dilations = whole_numbers(name, "dilation", dilation, spatial, 1)
    cut = whole_numbers(name, "padding", padding, spatial, 0)
    extra = whole_numbers(name, "output_padding", output_padding, spatial, 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, strides, dilations, strict=True)):
        raise ShapeError(
            f"{name}: output_padding {extra} is smaller than stride {strides} or dilation {dilations}"
        )
    per_group = w.shape[1]
    grouped = isinstance(groups, int) and groups > 1
    outputs = per_group * groups if grouped else per_group
    _grouped(name, a, w, b, groups, w.shape[0], outputs)
    n, channels, *places = a.shape
    taps = w.shape[2:]
    lengths = []  # of what all windows cover, output_padding included
    for m, k, s, d, p, e in zip(places, taps, strides, dilations, cut, extra, strict=True):
        full = (m - 1) * s + d * (k - 1) + 1 + max(e - p, 0)
        if m < 1 or k < 1 or (m - 1) * s + d * (k - 1) + 1 + e - 2 * p < 1:
            raise ShapeError(
                f"{name}: nothing is left of x of shape {plain(a.shape)} and a weight of shape "
                f"{plain(w.shape)} with stride {strides} and padding {cut}"
            )
        lengths.append(full)
    rows, many = count((per_group, *taps)), count((n, *places))
    columns = permute(a, (1, 0, *range(2, a.rank)))
    if grouped:
        size = channels // groups
        w2 = permute(reshape(w, (groups, size, rows)), (0, 2, 1))
        seen = matmul(w2, reshape(columns, (groups, size, many)))
    else:
        w2 = permute(reshape(w, (channels, rows)), (1, 0))
        seen = matmul(w2, reshape(columns, (channels, many)))
    seen = reshape(seen, (outputs, *taps, n, *places))
    axes, middle = range(2 + spatial, 2 + 2 * spatial), range(1, 1 + spatial)
    out = overlapped(seen, axes, middle, strides, dilations, tuple(lengths))
    out = permute(out, (1, 0, *range(2, out.rank)))
    sizes = tuple(
        (m - 1) * s + d * (k - 1) + 1 + e - 2 * p
        for m, k, s, d, p, e in zip(places, taps, strides, dilations, cut, extra, strict=True)
    )
    if sizes != out.shape[2:]:
        out = SLICE(out, starts=(0, 0, *cut), sizes=(n, outputs, *sizes), steps=(1,) * out.rank)
    return _with_bias(out, b, batched)


def conv1d(
    x: Any,
    weight: Any,
    /,
    bias: Any = None,
    *,
    stride: Numbers = 1,
    padding: Any = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Array:
    """A convolution of sequences, as neural networks have it: the filter is not reversed.

    out[n, o, i] = bias[o] + sum over c, k of weight[o, c, k] * x[n, c, i * stride + k * dilation],
    where x is padded with zeros first, and c goes over the channels of o's group.

    Args:
        x: array of shape (N, C, L) or (C, L), of any numeric dtype.
        weight: array of shape (O, C / groups, K).
        bias: vector of length O, added to each channel of the result; or None.
        stride: how far the window moves from one place to the next.
        padding: zeros added at both ends: a number, a pair (before, after) in a list, "valid" for
            none, or "same" for as many places as ceil(L / stride).
        dilation: how far the taps of the filter are apart.
        groups: channels are in so many groups, and each is convolved with its own filters.

    Returns:
        Array of shape (N, O, (L + padding - dilation * (K - 1) - 1) // stride + 1), of the promoted
        dtype.

    Raises:
        DTypeError: for booleans.
        ShapeError: if shapes, channels and groups do not fit together, or the filter is longer than
            the padded sequence.
        UnsupportedError: for another word as padding.

    Examples:
        >>> import numr as nr
        >>> nr.conv1d(nr.asarray([[[1.0, 2.0, 4.0, 8.0]]]), nr.asarray([[[-1.0, 1.0]]]))
        numr.Array([[[1., 2., 4.]]])
    """
    return _convolution("conv1d", 1, x, weight, bias, stride, padding, dilation, groups)


def conv2d(
    x: Any,
    weight: Any,
    /,
    bias: Any = None,
    *,
    stride: Numbers = 1,
    padding: Any = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Array:
    """A convolution of images, as neural networks have it: the filter is not reversed.

    out[n, o, i, j] = bias[o] + sum over c, k, l of
    weight[o, c, k, l] * x[n, c, i * stride + k * dilation, j * stride + l * dilation], where x is
    padded with zeros first, and c goes over the channels of o's group. Filters of one channel are
    summed directly, others are one product of matrices for each group.

    Args:
        x: array of shape (N, C, H, W) or (C, H, W), of any numeric dtype.
        weight: array of shape (O, C / groups, KH, KW).
        bias: vector of length O, added to each channel of the result; or None.
        stride: how far the window moves from one place to the next; one number, or one for each axis.
        padding: zeros added around: a number, one for each axis, a pair (before, after) for each
            axis, "valid" for none, or "same" for as many places as ceil(length / stride).
        dilation: how far the taps of the filter are apart; one number, or one for each axis.
        groups: channels are in so many groups, and each is convolved with its own filters.

    Returns:
        Array of shape (N, O, OH, OW), of the promoted dtype, where
        OH = (H + padding - dilation * (KH - 1) - 1) // stride + 1, and OW likewise.

    Raises:
        DTypeError: for booleans.
        ShapeError: if shapes, channels and groups do not fit together, or the filter is larger than
            the padded image.
        UnsupportedError: for another word as padding.

    Examples:
        >>> import numr as nr
        >>> nr.conv2d(nr.reshape(nr.arange(9.0), (1, 1, 3, 3)), nr.ones((1, 1, 2, 2)))
        numr.Array([[[[ 8., 12.],
                 [20., 24.]]]])
    """
    return _convolution("conv2d", 2, x, weight, bias, stride, padding, dilation, groups)


def depthwise_conv2d(
    x: Any,
    weight: Any,
    /,
    bias: Any = None,
    *,
    stride: Numbers = 1,
    padding: Any = 0,
    dilation: Numbers = 1,
) -> Array:
    """A convolution of images in which every channel has filters of its own: `conv2d` in C groups.

    Args:
        x: array of shape (N, C, H, W) or (C, H, W), of any numeric dtype.
        weight: array of shape (C * M, 1, KH, KW), M filters for each channel.
        bias: vector of length C * M; or None.
        stride: as in `conv2d`.
        padding: as in `conv2d`.
        dilation: as in `conv2d`.

    Returns:
        Array of shape (N, C * M, OH, OW), of the promoted dtype.

    Raises:
        DTypeError: for booleans.
        ShapeError: if shapes do not fit together, or the filter is larger than the padded image.
        UnsupportedError: for another word as padding.

    Examples:
        >>> import numr as nr
        >>> x = nr.ones((1, 2, 2, 2))
        >>> nr.depthwise_conv2d(x, nr.asarray([1.0, 3.0])[:, None, None, None] * nr.ones((1, 2, 2)))
        numr.Array([[[[ 4.]],
        <BLANKLINE>
                [[12.]]]])
    """
    name = "depthwise_conv2d"
    shape = _operands(name, x, weight, bias, 2)[0].shape
    return _convolution(name, 2, x, weight, bias, stride, padding, dilation, int(shape[-3]))


def conv_transpose1d(
    x: Any,
    weight: Any,
    /,
    bias: Any = None,
    *,
    stride: Numbers = 1,
    padding: Numbers = 0,
    output_padding: Numbers = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Array:
    """The transpose of `conv1d` as a linear map of its input: places are spread, not gathered.

    Before `padding` is cut off, out[n, o, i * stride + k * dilation] is the sum of
    x[n, c, i] * weight[c, o, k] over all i, k that meet there and the channels c of o's group.

    Args:
        x: array of shape (N, C, L) or (C, L), of any numeric dtype.
        weight: array of shape (C, O / groups, K): what a convolution from O to C channels has.
        bias: vector of length O, added to each channel of the result; or None.
        stride: how far apart the elements of x are in the result.
        padding: how many places are cut off at both ends.
        output_padding: how many places are added after the end; less than stride or dilation.
        dilation: how far the taps of the filter are apart.
        groups: channels are in so many groups, each with its own filters.

    Returns:
        Array of shape (N, O, (L - 1) * stride - 2 * padding + dilation * (K - 1) + output_padding + 1),
        of the promoted dtype.

    Raises:
        DTypeError: for booleans.
        ShapeError: if shapes, channels and groups do not fit together, or nothing is left.

    Examples:
        >>> import numr as nr
        >>> x, weight = nr.asarray([[[1.0, 2.0]]]), nr.asarray([[[1.0, 10.0]]])
        >>> nr.conv_transpose1d(x, weight)
        numr.Array([[[ 1., 12., 20.]]])
    """
    return _transposed(
        "conv_transpose1d", 1, x, weight, bias, stride, padding, output_padding, dilation, groups
    )


def conv_transpose2d(
    x: Any,
    weight: Any,
    /,
    bias: Any = None,
    *,
    stride: Numbers = 1,
    padding: Numbers = 0,
    output_padding: Numbers = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Array:
    """The transpose of `conv2d` as a linear map of its input: places are spread, not gathered.

    Before `padding` is cut off, out[n, o, i * stride + k * dilation, j * stride + l * dilation] is
    the sum of x[n, c, i, j] * weight[c, o, k, l] over all that meet there and the channels c of o's
    group.

    Args:
        x: array of shape (N, C, H, W) or (C, H, W), of any numeric dtype.
        weight: array of shape (C, O / groups, KH, KW): what a convolution from O to C channels has.
        bias: vector of length O, added to each channel of the result; or None.
        stride: how far apart the elements of x are in the result; one number, or one for each axis.
        padding: how many places are cut off at both ends; one number, or one for each axis.
        output_padding: how many places are added after the end; less than stride or dilation.
        dilation: how far the taps of the filter are apart; one number, or one for each axis.
        groups: channels are in so many groups, each with its own filters.

    Returns:
        Array of shape (N, O, OH, OW), of the promoted dtype, where
        OH = (H - 1) * stride - 2 * padding + dilation * (KH - 1) + output_padding + 1.

    Raises:
        DTypeError: for booleans.
        ShapeError: if shapes, channels and groups do not fit together, or nothing is left.

    Examples:
        >>> import numr as nr
        >>> nr.conv_transpose2d(nr.ones((1, 1, 1, 2)), nr.ones((1, 1, 1, 2)))
        numr.Array([[[[1., 2., 1.]]]])
    """
    return _transposed(
        "conv_transpose2d", 2, x, weight, bias, stride, padding, output_padding, dilation, groups
    )


__all__ = [
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "depthwise_conv2d",
]
