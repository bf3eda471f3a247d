"""Surfaces: the one primitive of the renderer.

A rendered flower is a list of surfaces: a petal, a leaf, a stem, a stamen, a seed, a bell. A surface is one row of a
float32 array; `COLUMNS` names its numbers. Coordinates: x to the right, y down, z towards the camera, in picture widths once
a surface is placed in a scene (the picture is the unit square). Colors are linear RGB in [0, 1].

A surface has two parameters: t from 0 at its base to 1 at its tip, and s from -1 to 1 across. Three kinds are told apart:

- BLADE: a strip around a midrib, which leaves the base along a; its half-width is |b|; its front faces a x b.
- TUBE: a round body around such a midrib; its radius is |b| times the outline (a stem, an anther, a seed).
- BELL: a surface of revolution around a; each meridian starts at the radius |b| and has the length |a|.
"""

import numpy as np

BLADE, TUBE, BELL = 0, 1, 2

COLUMNS = (
    *("kind", "x", "y", "z", "ax", "ay", "az", "bx", "by", "bz"),
    # curvature (radians): of the midrib, backwards if positive, evenly and near the tip; sideways; around the midrib; across,
    # edges forward (half the angle of the arc); BELL only: the angle of the meridian above the plane of the opening
    *("bend", "curl", "sway", "twist", "cup", "rise"),
    # edges forward as in a V; height, number and phase of ruffles of the margin (heights in half-widths)
    *("fold", "ruffle", "ruffles", "phase"),
    # outline: where it is widest, width at the base, tip (0 pointed, 1 round, 1.6 cut off), depth of the notch, lobes behind
    # the base; depth and number of teeth of the tip, 1 if they are round; depth and number of lobes of the sides
    *("peak", "base", "tip", "notch", "lobes", "fringe", "teeth", "scallop", "wave", "waves"),
    # colors: main, tip (or rim), base, markings
    *("r", "g", "b", "tip_r", "tip_g", "tip_b", "base_r", "base_g", "base_b", "mark_r", "mark_g", "mark_b"),
    # how far the tip color and the base color reach (0..1); 1 puts the tip color all round the rim
    *("tip_reach", "base_reach", "rim"),
    # markings: midrib stripe, number and strength of veins along and of pinnate veins, density and strength of spots, strength
    # and place of a blotch, number of checks
    *("stripe", "veins", "vein", "ribs", "rib", "spots", "spot", "blotch", "blotch_at", "checks"),
    # grain and silky streaks of the color; darkening of the groove along the midrib
    *("texture", "streak", "crease"),
    # material: light that passes through, gloss, light given off; 1 if the surface belongs to a labeled bloom
    *("through", "gloss", "glow", "bloom"),
)
INDEX = {name: i for i, name in enumerate(COLUMNS)}
(
    KIND, X, Y, Z, AX, AY, AZ, BX, BY, BZ, BEND, CURL, SWAY, TWIST, CUP, RISE, FOLD, RUFFLE, RUFFLES, PHASE,
    PEAK, BASE, TIP, NOTCH, LOBES, FRINGE, TEETH, SCALLOP, WAVE, WAVES,
    RED, GREEN, BLUE, TIP_RED, TIP_GREEN, TIP_BLUE, BASE_RED, BASE_GREEN, BASE_BLUE, MARK_RED, MARK_GREEN, MARK_BLUE,
    TIP_REACH, BASE_REACH, RIM, STRIPE, VEINS, VEIN, RIBS, RIB, SPOTS, SPOT, BLOTCH, BLOTCH_AT, CHECKS,
    TEXTURE, STREAK, CREASE, THROUGH, GLOSS, GLOW, BLOOM,
) = range(len(COLUMNS))  # fmt: skip
POINT, MIDRIB, ACROSS = slice(X, AX), slice(AX, BX), slice(BX, BEND)
DEFAULTS = {"peak": 0.5, "base": 0.3, "tip": 0.8, "teeth": 3, "waves": 3, "ruffles": 3, "blotch_at": 0.3, "texture": 0.1}


def surfaces(count: int = 1, **values) -> np.ndarray:
    """`count` rows, float32 (count, len(COLUMNS)), with the given columns set (numbers or arrays of length `count`)."""
    rows = np.zeros((count, len(COLUMNS)), np.float32)
    for name, value in (DEFAULTS | values).items():
        rows[:, INDEX[name]] = value
    return rows


def place(rows: np.ndarray, at, scale: float = 1.0, rotation: np.ndarray | None = None) -> np.ndarray:
    """A copy of the rows, rotated by a matrix (3, 3), scaled and moved to the point `at`."""
    turn = np.eye(3) if rotation is None else rotation
    return instances(rows, np.asarray(at)[None], np.array([scale]), turn[None])


def instances(rows: np.ndarray, at: np.ndarray, scale: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Copies of the rows, one for each point (n, 3), scale (n,) and rotation (n, 3, 3), one after another."""
    copies = np.repeat(rows[None], len(at), 0)
    turn = (rotation * np.asarray(scale)[:, None, None]).transpose(0, 2, 1).astype(np.float32)
    for vector in (POINT, MIDRIB, ACROSS):
        copies[:, :, vector] = copies[:, :, vector] @ turn
    copies[:, :, POINT] += np.asarray(at, np.float32)[:, None]
    return copies.reshape(-1, rows.shape[1])


def look_at(directions) -> np.ndarray:
    """Rotations (..., 3, 3) that turn the z axis to `directions` (..., 3) and keep the lower side of a bloom below."""
    z = np.asarray(directions, float)
    z = z / np.linalg.norm(z, axis=-1, keepdims=True)
    down = np.array([0.02, 1.0, 0.03]) - z * z[..., 1:2]
    y = down - z * (down * z).sum(-1, keepdims=True)
    y /= np.linalg.norm(y, axis=-1, keepdims=True)
    return np.stack([cross(y, z), y, z], -1)


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross product along the last axis (faster than np.cross for few vectors)."""
    x, y, z = a[..., 0], a[..., 1], a[..., 2]
    u, v, w = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], -1)
