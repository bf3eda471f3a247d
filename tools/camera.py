"""What the lens and the camera do: background, blur out of focus, exposure, tone curve, noise."""

import math

import numba
import numpy as np

from tools.shading import NOISE, noise, ramp


@numba.njit(parallel=True)
def _fill(canvas, colors, horizon, clouds, tile):
    size = canvas.shape[1]
    for picture in numba.prange(canvas.shape[0]):
        f = clouds[picture, 0]
        for i in range(size):
            for j in range(size):
                u, v = i / size * f + clouds[picture, 1], j / size * f + clouds[picture, 2]
                fine = noise(tile, 3.1 * u + 17, 3.1 * v + 29)
                mix = ramp(0.25, 0.75, noise(tile, u, v) * 0.65 + fine * 0.35)
                edge = horizon[picture, 0] + 0.1 * (noise(tile, 5.3, 0.35 * v) - 0.5)
                below = ramp(edge - horizon[picture, 1], edge + horizon[picture, 1], i / size)
                for c in range(3):
                    high = colors[picture, 0, c] * (1 - mix) + colors[picture, 1, c] * mix
                    low = colors[picture, 2, c] * (1 - mix) + colors[picture, 3, c] * mix
                    canvas[picture, i, j, c] = high + (low - high) * below


def fill(size: int, colors: np.ndarray, horizon: np.ndarray, clouds: np.ndarray) -> np.ndarray:
    """Backgrounds, float32 (n, size, size, 3): clouds of two colors above a soft horizon and of two others below it.

    colors: float32 (n, 4, 3), linear RGB: dark and light above, dark and light below; horizon: (n, 2), its height (0 top,
    1 bottom) and half its softness; clouds: (n, 3), noise cells per picture and place in the noise.
    """
    canvas = np.zeros((len(colors), size, size, 3), np.float32)
    _fill(canvas, colors, horizon, clouds, NOISE)
    return canvas


@numba.njit(parallel=True, cache=True)
def _disc_blur(images, radius):
    n, size, _, channels = images.shape
    for picture in numba.prange(n):
        r = radius[picture]
        if r < 0.4:
            continue
        reach = math.ceil(r)
        sums = np.zeros((size + 2 * reach + 1, channels))
        blurred = np.zeros((size, size, channels))
        total = 0.0
        for dy in range(-reach, reach + 1):
            half = math.sqrt(max(r * r - dy * dy, 0.0))
            whole, part = int(half), half - int(half)
            weight = 1.0 if abs(dy) < reach or reach == r else max(r - (reach - 1), 0.05)
            total += weight * (2 * half + 1)
            for y in range(size):
                source = min(max(y + dy, 0), size - 1)
                for x in range(size + 2 * reach):
                    column = min(max(x - reach, 0), size - 1)
                    for c in range(channels):
                        sums[x + 1, c] = sums[x, c] + images[picture, source, column, c]
                for x in range(size):
                    low, high = x + reach - whole, x + reach + whole + 1
                    for c in range(channels):
                        value = sums[high, c] - sums[low, c]
                        left, right = max(low - 1, 0), min(high, size + 2 * reach - 1)
                        value += part * (sums[left + 1, c] - sums[left, c] + sums[right + 1, c] - sums[right, c])
                        blurred[y, x, c] += weight * value
        images[picture] = blurred / total


def disc_blur(images: np.ndarray, radius: np.ndarray) -> None:
    """Blur as a lens does what is out of focus: average over a disc, in place; images (n, size, size, c), radius in pixels."""
    _disc_blur(images, radius.astype(np.float32))


def _metered(light, mask):
    """Exposure as a photographer sets it: between that for the whole picture and that for the flower's light parts."""
    luminance = light @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    gain = np.log(0.2) - np.log(luminance + 0.01).mean()
    if (mask > 0.5).any():
        lightest = np.log(np.quantile(light.max(-1)[mask > 0.5], 0.9) + 0.01)
        gain = 0.25 * np.clip(gain, -1, 1.5) - 0.75 * np.clip(lightest + 0.05, -1.1, 1)
    return np.exp(gain)


def _tone(light):
    """Linear light to display values: a film-like curve with a soft shoulder, so that whites keep their texture."""
    curve = light * (1 + light / 4) / (1 + 0.75 * light)
    shown = np.clip(curve, 0, 1) ** (1 / 2.2)
    return shown + 0.3 * shown * (1 - shown) * (2 * shown - 1)


def develop(canvas, masks, cameras):
    """Linear light to 8-bit sRGB, as a camera would: exposure, white balance, vignette, tone curve, noise."""
    size = canvas.shape[1]
    grid = (np.arange(size) + 0.5) / size - 0.5
    corner = 2 * (grid[:, None] ** 2 + grid[None] ** 2)
    pictures = np.empty(canvas.shape, np.uint8)
    for i, camera in enumerate(cameras):
        light = canvas[i] * _metered(canvas[i], masks[i]) * camera["exposure"] * camera["white"]
        light = light * (1 - camera["vignette"] * corner)[..., None]
        gray = light.mean(-1, keepdims=True)
        light = np.maximum(gray + (light - gray) * camera["saturation"], 0)
        shown = 0.45 + (_tone(light) - 0.45) * camera["contrast"]
        shown += np.random.default_rng(camera["seed"]).normal(0, camera["noise"], shown.shape)
        pictures[i] = np.clip(shown * 255 + 0.5, 0, 255)
    return pictures
