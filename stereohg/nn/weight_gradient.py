"""The gradient of a convolution's kernel as products of matrices.

For channels-last tensors on a CPU oneDNN takes two to three times as long for it as for the convolution itself.
Shapes: B batch, C input channels, K output channels; x (B,C,H,W) or (B,C,D,H,W), kernel (K,C,3,3) or (K,C,3,3,3).
"""

import torch
from torch import Tensor

TILE_BYTES = 2**22  # of both matrices of a product; they stay in the cache


def weight_gradient(x: Tensor, gradient: Tensor, dilation: int = 1) -> Tensor:
    """Of the kernel in ``conv(x, kernel, padding=dilation, dilation=dilation)``; in 3-D with dilation 1.

    Of a tile of rows, the inputs at the three taps along W lie side by side in one matrix, the gradients that the three
    taps along D meet in the other. For the taps along H the first one's rows move.
    """
    is_volume = x.dim() == 5
    x, gradient = ((t if is_volume else t.unsqueeze(2)).permute(0, 2, 3, 4, 1) for t in (x, gradient))
    depth, height, width, channels = x.shape[1:]
    steps = (1, 0, -1) if is_volume else (0,)
    outputs = len(steps) * gradient.shape[-1]
    rows = max(1, min(height, TILE_BYTES // (width * (3 * channels + outputs) * x.element_size())))

    of_kernel = x.new_zeros(3, outputs, 3 * channels)
    nothing = torch.zeros_like(gradient[0, 0])
    plane = x.new_zeros(height + 2 * dilation, width + 2 * dilation, channels)
    at_taps = plane.unfold(1, 2 * dilation + 1, 1)[..., ::dilation].mT  # (H,W,3,C)
    inputs = x.new_empty(rows + 2 * dilation, width, 3, channels)
    gradients = x.new_empty(rows, width, len(steps), gradient.shape[-1])
    for image, of_image in zip(x, gradient, strict=True):
        for d in range(depth):
            plane[dilation:-dilation, dilation:-dilation] = image[d]
            met = [of_image[d + step] if 0 <= d + step < depth else nothing for step in steps]
            for y in range(0, height, rows):
                count = min(rows, height - y)
                inputs[: count + 2 * dilation] = at_taps[y : y + count + 2 * dilation]
                torch.stack([of_plane[y : y + count] for of_plane in met], 2, out=gradients[:count])
                left = gradients[:count].view(-1, outputs).t()
                for tap in range(3):
                    right = inputs[tap * dilation : tap * dilation + count].view(-1, 3 * channels)
                    of_kernel[tap].addmm_(left, right)
    of_kernel = of_kernel.view(3, len(steps), -1, 3, channels).permute(2, 4, 1, 0, 3)
    return of_kernel if is_volume else of_kernel.squeeze(2)
