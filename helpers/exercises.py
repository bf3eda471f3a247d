"""Exercises that check themselves: `check("1.2", answer)` says whether the answer to exercise 2 of notebook 1 is right.

The function below with the exercise's number returns what a right answer looks like, or raises `Hint`. Answers that depend
on the data come with the numbers to compare them with, so that the exercises also work on your own photos.
"""

import os
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DistributedSampler, TensorDataset

JUDGES: dict[str, Callable[..., str]] = {}


class Hint(Exception):
    """What is wrong with an answer."""


class NotAnswered(Exception):
    """A function to fill in that still returns nothing."""


def check(number: str, *answers) -> None:
    """Print whether the answers are right, with what was expected; else a hint, or that they are missing."""
    try:
        if any(answer is ... for answer in answers):
            raise NotAnswered
        verdict = f"right. {JUDGES[number](*answers)}"
    except NotAnswered:
        verdict = "not answered yet. Replace the dots, then run this cell again."
    except Hint as hint:
        verdict = f"not right yet. {hint}"
    except Exception as error:  # of the learner's code
        verdict = f"not right yet. Your code raised {type(error).__name__}: {error}"
    print(f"Exercise {number}: {verdict}")


def exercise(number: str) -> Callable:
    """Register the judge of an exercise."""

    def register(judge: Callable[..., str]) -> Callable[..., str]:
        JUDGES[number] = judge
        return judge

    return register


def call(function: Callable, *inputs):
    """What the learner's function returns. Raises NotAnswered if that is nothing."""
    result = function(*inputs)
    if result is None or result is ...:
        raise NotAnswered
    return result


def close(value, expected, tolerance: float = 1e-4) -> bool:
    return bool(np.allclose(np.asarray(value, dtype=float), np.asarray(expected, dtype=float), atol=tolerance))


def compare_over_seeds(accuracies: dict[int, list[float]], keys: tuple[int, int], what: str) -> None:
    """Raises Hint unless there are accuracies of three seeds or more for each of the two settings."""
    if sorted(accuracies) != sorted(keys):
        raise Hint(f"The keys should be the values of the {what}, {keys[0]} and {keys[1]}.")
    if min(map(len, accuracies.values())) < 3:
        raise Hint(f"Train at least three seeds for each {what}: one run is one sample.")
    if max(map(max, accuracies.values())) > 1:
        raise Hint("An accuracy lies between 0 and 1.")
    if all(len(set(values)) == 1 and max(values) < 1 for values in accuracies.values()):
        raise Hint("All seeds of a row gave the same accuracy: set another seed before you make each network.")
    first, second = (accuracies[key] for key in keys)
    if first == second and len(set(first)) > 1:
        raise Hint(f"Both rows are equal: does the {what} reach the training?")


# ---- notebook 1 ----------------------------------------------------------------------------------------------------


@exercise("1.1")
def bgr_to_tensor(function: Callable) -> str:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    result = torch.as_tensor(np.ascontiguousarray(call(function, image)))
    expected = torch.from_numpy(np.ascontiguousarray(image[..., ::-1])).permute(2, 0, 1) / 255
    if result.shape == (5, 7, 3):
        raise Hint("The channels must come first: permute the axes to (channel, height, width).")
    if result.shape != (3, 5, 7):
        raise Hint(f"The shape is {tuple(result.shape)}; for an image of 5 rows and 7 columns it should be (3, 5, 7).")
    if result.max() > 1:
        raise Hint("The values must be floats from 0 to 1: divide by 255.")
    if close(result, expected.flip(0)):
        raise Hint("The channels are still blue, green, red: reverse their order.")
    if not close(result, expected):
        raise Hint("Shape and range are right, but the pixels have moved: permute the axes, do not reshape.")
    return "Channels first, RGB, from 0 to 1."


@exercise("1.2")
def number_of_batches(function: Callable) -> str:
    cases = [(n, size, drop) for n in (1, 63, 64, 65, 1000) for size in (1, 64) for drop in (False, True)]
    for n, size, drop in cases:
        found, expected = call(function, n, size, drop), n // size if drop else -(-n // size)
        if found != expected:
            how = "with" if drop else "without"
            raise Hint(f"{n} images in batches of {size} {how} drop_last make {expected} batches, not {found}.")
    return "Rounded down with drop_last, rounded up without."


@exercise("1.3")
def rarest_class(count: int, name: str, counts: dict[str, int], names: dict[str, str]) -> str:
    fewest = min(counts.values())
    rarest = {names[folder] for folder, n in counts.items() if n == fewest}
    if count == max(counts.values()) and count != fewest:
        raise Hint("That is the class with the most images.")
    if count != fewest:
        raise Hint("The number is not the smallest value in `counts`.")
    if name in counts and name not in rarest:
        raise Hint("That is the name of a folder: look it up in `names`.")
    if name not in rarest:
        raise Hint("The number is right, but this flower has more images.")
    return f"{name}, with {count} training images."


# ---- notebook 2 ----------------------------------------------------------------------------------------------------


@exercise("2.1")
def cross_entropy(function: Callable) -> str:
    scores = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)) * 3
    labels = torch.tensor([0, 1, 2, 3, 0, 2])
    found, expected = float(call(function, scores, labels)), F.cross_entropy(scores, labels).item()
    if close(found, 6 * expected):
        raise Hint("That is the sum over the images: take the mean.")
    if close(found, -expected):
        raise Hint("The sign is wrong: the logarithm of a probability is negative, a loss is not.")
    if close(found, -scores.softmax(0)[range(6), labels].log().mean()):
        raise Hint("The softmax runs over the images: it must run over the classes, dimension 1.")
    if close(found, -scores.softmax(1)[range(6), labels].mean()) or close(found, scores.softmax(1)[range(6), labels].mean()):
        raise Hint("The logarithm is missing.")
    if not close(found, expected):
        raise Hint(f"For the test scores it should be {expected:.3f}, but it is {found:.3f}.")
    if not np.isfinite(float(call(function, torch.tensor([[1000.0, 0.0]]), torch.tensor([1])))):
        raise Hint("It is right for small scores, but not at 1000: use log_softmax, which subtracts the largest score.")
    return "Equal to nn.CrossEntropyLoss, also for large scores."


@exercise("2.2")
def weights_of_large_head(answer: int, classes: int) -> str:
    first, last, norms = 512 * 256 + 256, 256 * classes + classes, 2 * (512 + 256)
    if answer == first + last + norms:
        return f"{first:,} + {last:,} in the linear layers, {norms:,} in the two batch norms."
    if answer == first + last:
        raise Hint("The batch norms learn as well: a scale and a shift for every channel.")
    if answer == 512 * 256 + 256 * classes + norms:
        raise Hint("The biases of the linear layers are missing.")
    if answer == first + last + 2 * norms:
        raise Hint("The running mean and variance of a batch norm are not learned by gradients: they do not count.")
    raise Hint("Add the weights and the biases of two linear layers, and two numbers per channel of each batch norm.")


@exercise("2.3")
def gain_of_views(accuracies: dict[int, list[float]]) -> str:
    compare_over_seeds(accuracies, (1, 4), "number of views")
    gain = 100 * (np.mean(accuracies[4]) - np.mean(accuracies[1]))
    return f"Four views gained ≈{gain:+.1f} points; between -1 and +4 are usual on the bundled flowers."


# ---- notebook 3 ----------------------------------------------------------------------------------------------------


@exercise("3.1")
def only_the_last_stage_and_the_head(model: torch.nn.Module) -> str:
    learning = {name: p.numel() for name, p in model.named_parameters() if p.requires_grad}
    stages = {name.split(".")[0] for name in learning}
    if not stages:
        raise Hint("Every layer is frozen.")
    if "fc" not in stages:
        raise Hint("The head, `fc`, is frozen.")
    if "layer4" not in stages:
        raise Hint("`layer4` is still frozen.")
    if stages != {"fc", "layer4"}:
        raise Hint(f"These learn as well: {', '.join(sorted(stages - {'fc', 'layer4'}))}. Freeze everything first.")
    if any(not p.requires_grad for p in model.get_submodule("layer4").parameters()):
        raise Hint("A part of `layer4` is still frozen: unfreeze all its parameters.")
    total = sum(p.numel() for p in model.parameters())
    return f"{sum(learning.values()):,} of {total:,} weights learn."


@exercise("3.2")
def warm_up(function: Callable) -> str:
    found = [float(call(function, step)) for step in range(13)]
    if close(found[0], 0):
        raise Hint("At step 0 the factor is 0, so the first step changes nothing: begin with 0.1.")
    if close(found[:10], np.arange(1, 11) / 10) and found[12] > 1.01:
        raise Hint("It goes on rising after step 9: limit it to 1.")
    for step, expected in ((0, 0.1), (4, 0.5), (9, 1.0), (12, 1.0)):
        if not close(found[step], expected):
            raise Hint(f"At step {step} the factor should be {expected}, but it is {found[step]:.3g}.")
    if not close(found[:10], np.arange(1, 11) / 10):
        raise Hint("Between step 0 and step 9 it should rise by 0.1 in each step.")
    return "0.1, 0.2 ... 1, then 1."


@exercise("3.3")
def smaller_lr_for_the_backbone(accuracies: dict[int, list[float]]) -> str:
    compare_over_seeds(accuracies, (1, 10), "ratio")
    gain = 100 * (np.mean(accuracies[10]) - np.mean(accuracies[1]))
    return f"A tenth of the rate gained ≈{gain:+.1f} points; between -6 and +2 are usual on the bundled flowers."


# ---- notebook 4 ----------------------------------------------------------------------------------------------------


@exercise("4.1")
def top_five_accuracy(answer: float, probabilities: torch.Tensor, labels: torch.Tensor) -> str:
    order = probabilities.argsort(1, descending=True)
    hits = order[:, :5] == labels[:, None]
    first, five = hits[:, 0].float().mean().item(), hits.any(1).float().mean().item()
    if close(answer, five, 6e-4):
        return f"≈{five:.3f}; a top-1 accuracy of ≈{first:.3f} never exceeds it."
    if close(answer, first):
        raise Hint("That is the top-1 accuracy: look at five columns instead of one.")
    if close(answer, hits.sum()):
        raise Hint("That is a number of images: divide by how many there are.")
    if close(answer, hits.float().mean()):
        raise Hint("Take `any` over the five columns first: an image counts once, not five times.")
    raise Hint("Is the true label among the five indices of `topk`? The answer is the share of images for which it is.")


@exercise("4.2")
def accuracy_by_class(answer: torch.Tensor, guesses: torch.Tensor, labels: torch.Tensor) -> str:
    answer, classes = torch.as_tensor(answer).float(), int(labels.max()) + 1
    hits = torch.bincount(labels[guesses == labels], minlength=classes)
    recall, called = hits / torch.bincount(labels, minlength=classes), torch.bincount(guesses, minlength=classes)[:classes]
    if answer.shape != (classes,):
        raise Hint(f"The tensor should have shape ({classes},): one value for each class.")
    if close(answer, recall):
        return f"The hardest class has ≈{recall.min():.2f}, the mean of all is ≈{recall.mean():.3f}."
    if close(answer, hits):
        raise Hint("Those are numbers of images: divide by the number of images of each class.")
    if close(answer[called > 0], (hits / called)[called > 0]):
        raise Hint("You divide by how often the class was *answered* (precision): take the images that *are* of the class.")
    raise Hint("For each class: the mean of `correct` over the images with this label.")


@exercise("4.3")
def threshold_for_unsure(threshold: float, accuracy: float, confidence: torch.Tensor, correct: torch.Tensor) -> str:
    answered = confidence >= threshold
    share = answered.float().mean().item()
    if abs(share - 0.2) < 0.03:
        raise Hint("That threshold leaves 20 % answered: take the quantile of 0.2, not of 0.8.")
    if abs(share - 0.8) > 0.02 + 1 / len(correct):
        raise Hint(f"With this threshold {100 * share:.0f} % of the images are answered.")
    expected = correct[answered].float().mean().item()
    if close(accuracy, expected, 0.005):
        return f"≈{expected:.3f} of the answers are right, instead of ≈{correct.float().mean():.3f} of all."
    if close(accuracy, (correct & answered).float().mean()):
        raise Hint("You divide by all images: divide by those that are answered.")
    raise Hint("The threshold is right. The accuracy should be that of the images at or above it.")


# ---- notebook 5 ----------------------------------------------------------------------------------------------------


@exercise("5.1")
def width_of_interval(width: float, correct: np.ndarray) -> str:
    n, accuracy = min(50, len(correct)), correct.mean()
    deviation = np.sqrt(max(accuracy * (1 - accuracy), 0.01) / n)
    if width > 1:
        raise Hint("The width of an interval of accuracies is below 1: give a fraction, not points.")
    if len(correct) > 100 and width < 2.0 * deviation:
        raise Hint("That is too narrow for 50 images: do you resample all of them, or give half of the width?")
    if width > 5.2 * deviation:
        raise Hint("That is too wide: the interval is from the 2.5 % to the 97.5 % quantile.")
    return f"≈{width:.2f}; by the formula ≈{2 * 1.96 * deviation:.2f}. Two networks on 50 images are hard to tell apart."


@exercise("5.2")
def f1_from_matrix(function: Callable) -> str:
    matrix = np.array([[4, 1, 0], [2, 1, 0], [0, 0, 0]])
    precision, recall, f1 = (np.array(values) for values in ([4 / 6, 1 / 2, 0], [4 / 5, 1 / 3, 0], [8 / 11, 2 / 5, 0]))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.asarray(call(function, matrix), float)
    if found.shape != (3,):
        raise Hint("Return one value for each class.")
    if np.isnan(found).any():
        raise Hint("A class without images and answers divides 0 by 0: its F1 should be 0.")
    for name, values in (("precision", precision), ("recall", recall), ("the mean of the two", (precision + recall) / 2)):
        if close(found, values):
            raise Hint(f"That is {name}: F1 is the harmonic mean of precision and recall.")
    if not close(found, f1):
        raise Hint(f"For {matrix.tolist()} it should be {[round(value, 3) for value in f1.tolist()]}.")
    return "Twice the diagonal, divided by the sum of row and column."


@exercise("5.3")
def calibration_error(answer: float) -> str:
    if close(answer, 2 / 3 * 0.15 + 1 / 3 * 0.1, 1e-3):
        return "≈0.133: two thirds of 0.15 and a third of 0.10."
    if close(answer, 0.125):
        raise Hint("The bins count by their number of images: 200 and 100.")
    if close(answer, 0.8 - 220 / 300, 1e-3):
        raise Hint("That compares the means over all images, where the bins cancel: take the absolute difference in each bin.")
    raise Hint("For each bin: the absolute difference of confidence and accuracy, weighted by its share of the images.")


# ---- notebook 6 ----------------------------------------------------------------------------------------------------


@exercise("6.1")
def first_adam_step(function: Callable) -> str:
    g = torch.tensor([3.0, -0.002, 50.0])
    found = torch.as_tensor(call(function, g, 0.1))
    if found.shape != g.shape:
        raise Hint("Return one step for each gradient.")
    if close(found, 0.1 * g.sign()):
        raise Hint("The sign is wrong: a step goes against the gradient.")
    if close(found, -g.sign()):
        raise Hint("The learning rate is missing.")
    if close(found, -0.1 * g):
        raise Hint("That is the step of SGD. Adam divides by the square root of v, which is |g| in the first step.")
    if not close(found, -0.1 * g.sign()):
        raise Hint("Insert t = 1 into the formula: m_hat is g, and v_hat is the square of g.")
    return "Minus the learning rate times the sign of the gradient."


@exercise("6.2")
def class_weights(function: Callable) -> str:
    counts = torch.tensor([10.0, 30.0, 60.0])
    found = torch.as_tensor(call(function, counts))
    expected = counts.sum() / (len(counts) * counts)
    if found.shape != counts.shape:
        raise Hint("Return one weight for each class.")
    if not close(found * counts, (found * counts).mean().expand(3)):
        raise Hint("The weights should be inversely proportional to the counts: count times weight is always the same.")
    if close(found.mean(), 1):
        raise Hint("The mean over the classes is 1; the mean over the images should be.")
    if not close(found, expected):
        mean = (found * counts).sum() / counts.sum()
        raise Hint(f"The mean over the images is {mean:.3f}: scale the weights so that it is 1.")
    return "Counts times weights add up to the number of images."


@exercise("6.3")
def median_suggestion(function: Callable, find_rate: Callable, steepest: Callable) -> str:
    def make(parameters, lr):
        return torch.optim.SGD(parameters, lr, momentum=0.9)

    found = float(call(function, make))
    suggestions = [steepest(*find_rate(make, seed=seed)) for seed in range(5)]
    median, mean = np.median(suggestions), np.mean(suggestions)
    if close(found, median, 1e-9):
        return f"≈{median:.4f} for SGD with momentum; single seeds: ≈{min(suggestions):.4f} to ≈{max(suggestions):.4f}."
    if close(found, mean, 1e-9):
        raise Hint("That is the mean: one odd seed moves it. Take the median.")
    if any(close(found, suggestion, 1e-9) for suggestion in suggestions):
        raise Hint("That is the suggestion of one seed: collect those of the seeds 0 to 4 first.")
    raise Hint("Call find_rate(make_optimizer, seed=seed) for the seeds 0 to 4, and steepest on each result.")


# ---- notebook 7 ----------------------------------------------------------------------------------------------------


@exercise("7.1")
def parameters_of_resnet(function: Callable) -> str:
    def expected(channels: int, classes: int, per_class: int = 513) -> int:
        return 11_180_170 + (channels - 1) * 64 * 49 + (classes - 10) * per_class

    for channels, classes in ((1, 10), (3, 10), (1, 102), (4, 5)):
        found, case = call(function, channels, classes), f"For {channels} input channels and {classes} classes"
        if found == expected(channels, classes) - 4800:
            raise Hint("That is torchvision's count: our convolutions have 4,800 biases more.")
        if classes != 10 and found == expected(channels, classes, 512):
            raise Hint("Each class of the head has 512 weights and a bias.")
        if channels > 1 and found == expected(1, classes):
            raise Hint("The first layer grows with the input channels: 7 x 7 weights for each pair of channels.")
        if found != expected(channels, classes):
            raise Hint(f"{case} it should be {expected(channels, classes):,}, not {found:,}.")
    return f"{expected(3, 102):,} for three channels and 102 classes."


@exercise("7.2")
def same_padding(function: Callable, output_size: Callable) -> str:
    for n, kernel, stride in ((64, 3, 1), (64, 3, 2), (65, 3, 2), (64, 7, 2), (10, 1, 2), (64, 4, 1)):
        before, after = call(function, n, kernel, stride)
        case, total = f"size {n}, kernel {kernel}, stride {stride}", max((-(-n // stride) - 1) * stride + kernel - n, 0)
        if min(before, after) < 0:
            raise Hint(f"Padding cannot be negative ({case}).")
        if output_size(n, kernel, before, after, stride) != -(-n // stride):
            raise Hint(f"For {case} the output size should be {-(-n // stride)}.")
        if before + after > total:
            raise Hint(f"For {case} a total of {total} is enough: it depends on the stride and on n, too.")
        if before != total // 2:
            raise Hint(f"For {case} the total is odd: the extra zero comes after.")
    return "For size 64, kernel 3, stride 2: 0 before and 1 after, where PyTorch's padding=1 has 1 and 1."


@exercise("7.3")
def fold_batch_norm(function: Callable) -> str:
    generator = torch.Generator().manual_seed(0)
    conv, norm = torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4).eval()
    with torch.no_grad():
        for value in (*conv.state_dict().values(), *norm.state_dict().values()):
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator) + 0.1)
        deviation = norm.state_dict()["running_var"].mul_(1e-3).add(norm.eps).sqrt()  # so small that eps counts
        images = torch.rand(2, 3, 8, 8, generator=generator)
        expected, before = norm(conv(images)), conv(images)
        found = call(function, conv, norm)(images)
        if not close(conv(images), before):
            raise Hint("The given convolution has changed: fold into a copy of it.")
        error = (found - expected) * (deviation / norm.weight)[:, None, None]
        if close(found, expected, 1e-3):
            return f"The outputs differ by at most ≈{(found - expected).abs().max():.6f}."
        if float(error.amax((0, 2, 3)).sub(error.amin((0, 2, 3))).max()) < 1e-3:
            raise Hint("The outputs differ by a constant per channel: look at the bias, of the convolution and of the norm.")
        raise Hint("The scale of a channel is norm.weight / sqrt(norm.running_var + norm.eps); it multiplies weight and bias.")


# ---- notebook 8 ----------------------------------------------------------------------------------------------------


@exercise("8.1")
def linear_share_of_alexnet(answer: float) -> str:
    convolutions, linears = 655_566_528, 58_621_952  # at 224 pixels
    if close(answer, linears / (convolutions + linears), 2e-3):
        return f"{linears:,} of {convolutions + linears:,}: 8 %."
    if answer > 1:
        raise Hint("A share lies between 0 and 1: divide by the multiply-adds of all layers.")
    if close(answer, 58_631_144 / 61_100_840, 2e-3):
        raise Hint("That is the share of the weights: take the last column of `layer_table`, the multiply-adds.")
    if close(answer, convolutions / (convolutions + linears), 2e-3):
        raise Hint("That is the share of the convolutions.")
    if close(answer, linears / (39_523_008 + linears), 2e-2):
        raise Hint("That is the share at 64 pixels: take an image of 224.")
    raise Hint("Add the last column of `layer_table` over the rows of type Linear, and divide by the sum over all rows.")


@exercise("8.2")
def find_prefix(function: Callable) -> str:
    names = ["conv1.weight", "layer1.0.conv1.weight", "bn1.weight", "fc.weight"]
    cases = {
        "module.": [f"module.{name}" for name in names],
        "encoder.net.": [f"encoder.net.{name}" for name in names],
        "backbone.": ["projector.fc.weight", *(f"backbone.{name}" for name in reversed(names))],
        "": ["projector.fc.weight", *names],
    }
    for prefix, keys in cases.items():
        found = call(function, dict.fromkeys(keys, torch.zeros(1)), names)
        if not isinstance(found, str):
            raise Hint("Return the prefix, a string.")
        if found == prefix:
            continue
        fits = sum(found + name in keys for name in names)
        raise Hint(
            "A file can have another prefix, or none, or parts that the network lacks. For the names "
            f"{', '.join(keys[:3])} ... it is {prefix!r}, not {found!r}: that fits {fits} of {len(names)}."
        )
    return "Also without a prefix, in any order, and beside other parts."


@exercise("8.3")
def loss_of_both(function: Callable) -> str:
    draw = torch.Generator().manual_seed(0)
    student, teacher = (3 * torch.randn(8, 5, generator=draw) for _ in range(2))
    labels, t = torch.arange(8) % 5, 3.0
    hard, cool = F.cross_entropy(student, labels), F.cross_entropy(student / t, labels)
    soft = F.kl_div((student / t).log_softmax(1), (teacher / t).softmax(1), reduction="batchmean")
    found = torch.as_tensor(call(function, student, teacher, labels, t, 0.9))
    if found.numel() != 1:
        raise Hint("The loss is one number, the mean over the images.")
    mistakes = {
        "The two shares are swapped: `share` belongs to the teacher.": 0.1 * t**2 * soft + 0.9 * hard,
        "The cross-entropy should count 1 - `share`.": 0.9 * t**2 * soft + hard,
        "The factor T² of `distillation_loss` is missing.": 0.9 * soft + 0.1 * hard,
        "The labels are missing: add the cross-entropy.": 0.9 * t**2 * soft,
        "The cross-entropy takes the scores without temperature.": 0.9 * t**2 * soft + 0.1 * cool,
    }
    for hint, value in mistakes.items():
        if close(found, value):
            raise Hint(hint)
    expected = 0.9 * t**2 * soft + 0.1 * hard
    if not close(found, expected):
        raise Hint(f"For the test scores it should be {expected:.3f}, but it is {found.item():.3f}.")
    return "With a share of 0 it is the usual loss, with 1 the labels do not count."


# ---- notebook 9 ----------------------------------------------------------------------------------------------------


@exercise("9.1")
def amdahl(function: Callable) -> str:
    for share, factor in ((0.5, 2.0), (0.2, 4.0), (0.9, 100.0), (1.0, 3.0)):
        found, expected = float(call(function, share, factor)), 1 / (1 - share + share / factor)
        if close(found, expected):
            continue
        if close(found, 1 - share + share / factor):
            raise Hint("That is the time that remains: the speedup is the old time divided by the new one.")
        if share < 1 and close(found, 1 / (1 - share)):
            raise Hint("That is the bound, for an infinite factor: here a part of the time, share / factor, remains.")
        if close(found, factor) or close(found, share * factor) or close(found, 1 - share + share * factor):
            raise Hint("Speeds do not add up, times do: the new time is (1 - share) and what remains of the share.")
        raise Hint(f"With a share of {share} and a factor of {factor:g} it should be {expected:.3f}, not {found:.3f}.")
    return "The old time, 1, divided by the new one; never more than 1 / (1 - share)."


@exercise("9.2")
def part_of_a_process(function: Callable) -> str:
    for n, world in ((6, 3), (10, 3), (7, 4), (5, 1)):
        parts = [list(call(function, n, world, rank)) for rank in range(world)]
        images = TensorDataset(torch.arange(n))
        expected: list[list[int]] = [list(DistributedSampler(images, world, rank, shuffle=False)) for rank in range(world)]
        if parts == expected:
            continue
        case = f"{n} images on {world} processes"
        if len({len(part) for part in parts}) > 1:
            raise Hint(f"With {case}, not all get equally many: repeat images from the beginning.")
        if len(parts[0]) < len(expected[0]):
            raise Hint(f"With {case}, images are left out: repeat some from the beginning instead.")
        if len(parts[0]) > 1 and parts[0][1] == parts[0][0] + 1 != expected[0][1]:
            raise Hint("You cut the images into pieces: deal them out in turn, rank, rank + world, rank + 2 * world ...")
        raise Hint(f"With {case}, process {world - 1} should get {expected[-1]}, not {parts[-1]}.")
    return "Equal to DistributedSampler: dealt out in turn, filled up from the beginning."


@exercise("9.3")
def largest_batch(function: Callable) -> str:
    for memory, weights, per_image in ((8000, 45, 1.8), (1000, 100, 1.7)):
        found = call(function, memory, weights, per_image)
        expected = int((memory - 4 * weights) // per_image)
        for copies, missing in ((0, "The weights"), (1, "The gradients and the optimizer's means"),
                                (2, "The optimizer's two means"), (3, "A copy of the weights")):  # fmt: skip
            if int(found) == int((memory - copies * weights) // per_image):
                raise Hint(f"{missing} need memory too: together four times the size of the weights.")
        if close(found, (memory - 4 * weights) / per_image) and found != expected:
            raise Hint("Half an image is none: round down.")
        if found != expected:
            raise Hint(f"With {memory}, {weights} and {per_image} megabytes it should be {expected}, not {found}.")
    return "What four times the weights leave, divided by the megabytes of an image: 4,344 small images in 8 GB."


# ---- notebook 10 ---------------------------------------------------------------------------------------------------


class MakesFolder:
    """Unpickling this makes a folder: a harmless stand-in for what a stranger's file may do."""

    def __init__(self, path: str):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@exercise("10.1")
def tensors_in_a_file(function: Callable) -> str:
    with tempfile.TemporaryDirectory() as folder:
        good, bad, trap = (Path(folder, name) for name in ("good.pt", "bad.pt", "trap"))
        torch.save({"fc.weight": torch.zeros(2, 3), "epoch": 3, "fc.bias": torch.zeros(2)}, good)
        torch.save({"fc.weight": MakesFolder(str(trap))}, bad)
        found = call(function, good)
        try:
            refused = call(function, bad)
        except pickle.UnpicklingError:
            raise Hint('torch.load raises pickle.UnpicklingError for such a file: catch it and return "refused".') from None
        if trap.exists():
            raise Hint("Your function ran the code of the file (it made a folder): load with weights_only=True.")
    if found == "refused":
        raise Hint("A file with tensors and plain values is refused: weights_only=True allows it.")
    if "epoch" in found:
        raise Hint('"epoch" is a plain value, not a tensor: leave it out.')
    if sorted(found) != ["fc.bias", "fc.weight"]:
        raise Hint(f"Return the names of the tensors, here fc.weight and fc.bias, not {found}.")
    if refused != "refused":
        raise Hint('For a file that wants to run code, return "refused".')
    return "Two tensors found, and the file that wanted to make a folder was refused."


@exercise("10.2")
def weights_per_channel(function: Callable) -> str:
    w = torch.tensor([[0.5, -1.0, 0.26], [30.0, 100.0, -63.6]])
    q, scales = call(function, w)
    q, scales, largest = torch.as_tensor(q), torch.as_tensor(scales).flatten(), w.abs().amax(1)
    if len(scales) == 1 or close(scales[0], scales[-1], 1e-9):
        raise Hint("That is one scale for all: the rows differ a hundredfold, and each needs its own.")
    if scales.shape != (2,) or q.shape != w.shape:
        raise Hint(f"For weights of shape (2, 3), return integers of this shape and 2 scales, not {len(scales)}.")
    if close(scales, w.amax(1) / 127, 1e-7):
        raise Hint("The largest of the first row is -1: take absolute values.")
    if not close(scales, largest / 127, 1e-7):
        raise Hint(f"The largest absolute value of a row becomes 127: the scales should be {(largest / 127).tolist()}.")
    if q.dtype != torch.int8:
        raise Hint(f"The integers should be torch.int8, not {q.dtype}.")
    if torch.equal(q, (w / scales[:, None]).to(torch.int8)):
        raise Hint("A conversion to integers cuts off the fraction: round first.")
    if not torch.equal(q, (w / scales[:, None]).round().to(torch.int8)):
        raise Hint("The scales are right. The integers should be the weights divided by the scale of their row, rounded.")
    return "No weight moves by more than half the scale of its row."


@exercise("10.3")
def threshold_by_gain(threshold: float, price: float, unknown: np.ndarray, right: np.ndarray) -> str:
    refused, expected = (unknown < threshold).mean(), (right < threshold).mean()
    if abs(refused - 0.1) < 0.03:
        raise Hint("That threshold refuses 10 %: take the quantile of 0.9, not of 0.1.")
    if abs(refused - 0.9) > 0.02 + 1 / len(unknown) and not close(threshold, np.quantile(unknown, 0.9)):
        raise Hint(f"With this threshold {100 * refused:.0f} % of the pictures are refused.")
    if close(price, expected, 0.005):
        return f"Above ≈{threshold:.2f}; it costs ≈{100 * expected:.0f} % of the right answers."
    if close(price, 1 - expected, 0.005):
        raise Hint("That is the share of right answers that are kept.")
    raise Hint("The threshold is right. The price is the share of the right answers below it.")


# ---- notebook 11 ---------------------------------------------------------------------------------------------------


@exercise("11.1")
def precision_and_recall(function: Callable) -> str:
    is_wrong, ranking = np.array([0, 1, 0, 1, 1, 0, 0, 1], bool), np.array([3, 1, 0, 4, 2, 5, 6, 7])
    precision, recall = call(function, is_wrong, ranking, 3)
    if close((precision, recall), (0.5, 2 / 3)):
        raise Hint("That is recall and precision: the precision comes first.")
    if close((precision, recall), (1 / 3, 0.25)):
        raise Hint("Take the first n of the ranking, not the first n images.")
    if close(precision, 2):
        raise Hint("The precision is a share: divide the hits by n.")
    if not close(precision, 2 / 3):
        raise Hint("Precision: how many of the first n labels are wrong, divided by n.")
    if not close(recall, 0.5):
        raise Hint("Recall: how many of all wrong labels are among the first n.")
    return "With 2 hits among 3, and 4 wrong labels: ≈0.667 and ≈0.500."


@exercise("11.2")
def conformal_set(function: Callable) -> str:
    probabilities = np.array([0.1, 0.5, 0.05, 0.35])
    found = [int(k) for k in call(function, probabilities, 0.7)]
    if found == [0, 2]:
        raise Hint("These are the classes outside: a class belongs to the set if 1 - p is at most the threshold.")
    if found == [3, 1] or list(call(function, probabilities, 1)) == [0, 1, 2, 3]:
        raise Hint("The most probable class comes first.")
    if found == [1]:
        raise Hint("Compare 1 - p with the threshold, not p.")
    if found != [1, 3]:
        raise Hint(f"For p = {probabilities.tolist()} and a threshold of 0.7 the set is classes 1 and 3, not {found}.")
    if list(call(function, probabilities, 0.5)) != [1] or list(call(function, probabilities, 0.3)) != []:
        raise Hint("A score equal to the threshold belongs to the set; the set can be empty.")
    return "Classes 1 and 3 at 0.7, only 1 at 0.5, none at 0.3."


@exercise("11.3")
def groups_of_duplicates(function: Callable) -> str:
    pairs = [(1, 2), (5, 6), (2, 3), (8, 9), (9, 5)]
    found = sorted(sorted(group) for group in call(function, pairs))
    if found == sorted(sorted(pair) for pair in pairs):
        raise Hint("Each pair is a group of its own: join groups that share an image.")
    if found != [[1, 2, 3], [5, 6, 8, 9]]:
        raise Hint(f"{pairs} are two groups, {{1, 2, 3}} and {{5, 6, 8, 9}}: a pair can join two groups that exist already.")
    return "{1, 2, 3} and {5, 6, 8, 9}."
