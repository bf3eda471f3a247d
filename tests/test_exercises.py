"""The exercises of the notebooks: without an answer, with the mistakes that learners make, and with the solution.

Each notebook runs once on a small data folder; its exercises are then answered in the notebook's own namespace.
"""

import contextlib
import io
import itertools
import re

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import pytest
from conftest import COLOURS, make_data

from helpers import train, training
from helpers.base import PROJECT
from helpers.exercises import JUDGES, NotAnswered, call, check
from helpers.training import train_model

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))

# Wrong answers: the lines that replace the solution, and a word of the hint.
MISTAKES = {
    "1.1": {
        "def bgr_to_tensor(image): return torch.from_numpy(image.copy()).permute(2, 0, 1) / 255": "reverse",
        "def bgr_to_tensor(image): return torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)": "divide",
        "def bgr_to_tensor(image): return torch.from_numpy(image[..., ::-1].copy()) / 255": "channels must come first",
        "def bgr_to_tensor(image): return torch.from_numpy(image[..., ::-1].copy()).reshape(3, 5, 7) / 255": "do not reshape",
        "def bgr_to_tensor(image): return torch.from_numpy(image[..., ::-1])": "ValueError",
    },
    "1.2": {
        "def number_of_batches(images, batch_size, drop_last): return images // batch_size": "without drop_last",
        "def number_of_batches(images, batch_size, drop_last): return -(-images // batch_size)": "with drop_last",
    },
    "1.3": {
        "rarest_count, rarest_name = max(counts.values()), names[max(counts, key=counts.get)]": "most images",
        "rarest_count, rarest_name = min(counts.values()), min(counts, key=counts.get)": "name of a folder",
        "rarest_count, rarest_name = min(counts.values()), names[max(counts, key=counts.get)]": "more images",
    },
    "2.1": {
        "def cross_entropy(scores, labels): return F.cross_entropy(scores, labels, reduction='sum')": "sum",
        "def cross_entropy(scores, labels): return -F.cross_entropy(scores, labels)": "sign",
        "def cross_entropy(scores, labels): return -scores.log_softmax(0)[range(len(labels)), labels].mean()": "dimension 1",
        "def cross_entropy(scores, labels): return -scores.softmax(1)[range(len(labels)), labels].mean()": "logarithm",
        "def cross_entropy(s, y): return -(s.exp() / s.exp().sum(1, True))[range(len(y)), y].log().mean()": "not at 1000",
        "def cross_entropy(s, y): return -s.softmax(1).log()[range(len(y)), y].mean()": "not at 1000",
    },
    "2.2": {
        "learning_weights = 512 * 256 + 256 + 256 * classes + classes": "batch norms",
        "learning_weights = 512 * 256 + 256 * classes + 2 * 512 + 2 * 256": "biases",
        "learning_weights = 512 * 256 + 256 + 256 * classes + classes + 4 * 512 + 4 * 256": "running",
    },
    "2.3": {
        "by_views = {1: [0.5], 4: [0.6]}": "three seeds",
        "by_views = {1: [0.5, 0.5, 0.5], 4: [0.6, 0.6, 0.6]}": "seed",
        "by_views = {1: [0.5, 0.6, 0.7], 4: [0.5, 0.6, 0.7]}": "Both rows",
        "by_views = {1: [50, 60, 70], 4: [51, 62, 70]}": "between 0 and 1",
    },
    "3.1": {
        "part = initialize_model('resnet18', classes, feature_extract=True)": "`layer4` is still frozen",
        "part = initialize_model('resnet18', classes, feature_extract=False)": "These learn as well",
        "part = initialize_model('resnet18', classes, True); part.requires_grad_(False)": "Every layer",
        "part = initialize_model('resnet18', classes, False); part.fc.requires_grad_(False)": "The head",
        "part = initialize_model('resnet18', classes, True); part.layer4[1].requires_grad_(True)": "A part of",
    },
    "3.2": {
        "def factor(step): return step / 10": "At step 0 the factor is 0",
        "def factor(step): return 0.1 + 0.1 * step": "after step 9",
        "def factor(step): return min(1.0, 0.1 * 10 ** (step / 9))": "At step 4",
        "def factor(step): return 1.0 if step > 8 else 0.5 if step > 3 else 0.1": "by 0.1 in each step",
    },
    "3.3": {
        "by_ratio = {1: [0.5], 10: [0.6]}": "three seeds",
        "by_ratio = {1: [0.5, 0.5, 0.5], 10: [0.6, 0.6, 0.6]}": "another seed",
        "by_ratio = {1: [0.5, 0.6, 0.7], 10: [0.5, 0.6, 0.7]}": "Both rows",
        "by_ratio = {'1': [0.5, 0.6, 0.7], '10': [0.5, 0.6, 0.7]}": "keys",
    },
    "4.1": {
        "top5 = correct.float().mean().item()": "top-1",
        "top5 = (chances.topk(min(5, len(names))).indices == valid.labels[:, None]).sum().item()": "number of images",
        "top5 = 0.123": "share of images",
    },
    "4.2": {
        "by_class = correct.float().mean()": "shape",
        "by_class = torch.bincount(valid.labels[correct], minlength=len(names))": "numbers of images",
        "by_class = torch.full((len(names),), 0.123)": "mean of `correct`",
    },
    "4.3": {
        "threshold, accuracy_of_answered = confidence.quantile(0.8).item(), 1.0": "0.2",
        "threshold, accuracy_of_answered = 0.0, accuracy": "100 %",
        "threshold, accuracy_of_answered = confidence.quantile(0.2).item(), 0.123": "at or above",
    },
    "5.1": {
        "width_of_50 = 12.0": "points",
        "width_of_50 = 0.99": "too wide",
    },
    "5.2": {
        "def f1_of(matrix): return matrix.diagonal() / np.maximum(matrix.sum(1), 1)": "recall",
        "def f1_of(matrix): return matrix.diagonal() / np.maximum(matrix.sum(0), 1)": "precision",
        "def f1_of(matrix): return 2 * matrix.diagonal() / (matrix.sum(0) + matrix.sum(1))": "0 by 0",
        "def f1_of(matrix): return 2 * matrix.diagonal().sum() / (matrix.sum() * 2)": "each class",
    },
    "5.3": {
        "error_by_hand = (0.15 + 0.1) / 2": "number of images",
        "error_by_hand = 2 / 3 * 0.15 - 1 / 3 * 0.1": "cancel",
        "error_by_hand = 0.5": "For each bin",
    },
    "6.1": {
        "def first_adam_step(g, lr): return lr * g.sign()": "The sign",
        "def first_adam_step(g, lr): return -g.sign()": "learning rate is missing",
        "def first_adam_step(g, lr): return -lr * g": "SGD",
        "def first_adam_step(g, lr): return -lr * (0.1 * g) / (0.001 * g**2).sqrt()": "m_hat",
        "def first_adam_step(g, lr): return torch.tensor(-lr)": "for each gradient",
    },
    "6.2": {
        "def class_weights(counts): return 1 / counts": "scale the weights",
        "def class_weights(counts): return counts / counts.mean()": "inversely",
        "def class_weights(counts): return (1 / counts) / (1 / counts).mean()": "over the images",
    },
    "6.3": {
        "def suggest(make): return np.mean([steepest(*find_rate(make, seed=s)) for s in range(5)])": "median",
        "def suggest(make): return steepest(*find_rate(make, seed=min(range(5), key=lambda s: "
        "steepest(*find_rate(make, seed=s)))))": "one seed",
        "def suggest(make): return 123.0": "Call find_rate",
    },
    "7.1": {
        "def parameters(c, classes): return 11_180_170 + (c - 1) * 3136 + (classes - 10) * 512": "and a bias",
        "def parameters(c, classes): return 11_180_170 + (classes - 10) * 513": "first layer",
        "def parameters(c, classes): return 11_175_370 + (c - 1) * 3136 + (classes - 10) * 513": "torchvision",
    },
    "7.2": {
        "def same_padding(n, kernel, stride): return kernel // 2, kernel // 2": "is enough",
        "def same_padding(n, kernel, stride): return 0, 0": "output size",
        "def same_padding(n, kernel, stride):\n    total = max((-(-n // stride) - 1) * stride + kernel - n, 0)\n"
        "    return total - total // 2, total // 2": "comes after",
    },
    "7.3": {
        "def fold(conv, norm):\n    conv.weight *= 2\n    return conv": "a copy",
        "def fold(conv, norm):\n    factor, new = norm.weight / (norm.running_var + norm.eps).sqrt(), copy.deepcopy(conv)\n"
        "    new.weight *= factor[:, None, None, None]\n    new.bias.copy_(norm.bias - norm.running_mean * factor)\n"
        "    return new": "constant per channel",
        "def fold(conv, norm):\n    factor, new = norm.weight / norm.running_var.sqrt(), copy.deepcopy(conv)\n"
        "    new.weight *= factor[:, None, None, None]\n"
        "    new.bias.copy_((conv.bias - norm.running_mean) * factor + norm.bias)\n    return new": "The scale",
    },
    "8.1": {
        "linear_share = 58_631_144 / 61_100_840": "share of the weights",
        "linear_share = 58_621_952": "between 0 and 1",
        "rows = layer_table(AlexNet(), torch.zeros(1, 3, 64, 64)); "
        "linear_share = sum(r[3] for r in rows if r[0] == 'Linear') / sum(r[3] for r in rows)": "224",
        "linear_share = 0.918": "convolutions",
        "linear_share = 0.5": "last column",
    },
    "8.2": {
        "def find_prefix(state, names): return 'module.'": "another prefix",
        "def find_prefix(state, names): return next(iter(state)).removesuffix(names[0])": "parts that the network lacks",
        "def find_prefix(state, names): return next(iter(state)).split('.')[0] + '.'": "'encoder.net.'",
        "def find_prefix(state, names): return 'module'": "fits 0 of 4",
        "def find_prefix(state, names): return len(names)": "a string",
    },
    "8.3": {
        "def loss_of_both(s, t, y, T, a): return (1 - a) * distillation_loss(s, t, T) + a * criterion(s, y)": "swapped",
        "def loss_of_both(s, t, y, T, a): return a * distillation_loss(s, t, T) + criterion(s, y)": "1 - `share`",
        "def loss_of_both(s, t, y, T, a): return a * distillation_loss(s, t, T)": "labels are missing",
        "def loss_of_both(s, t, y, T, a): return a * distillation_loss(s, t, T) / T**2 + (1 - a) * criterion(s, y)": "T²",
        "def loss_of_both(s, t, y, T, a): return a * distillation_loss(t, s, T) + (1 - a) * criterion(s, y)": "it should be",
    },
    "9.1": {
        "def speedup(share, factor): return 1 - share + share / factor": "time that remains",
        "def speedup(share, factor): return 1 / (1 - share)": "infinite",
        "def speedup(share, factor): return 1 - share + share * factor": "times do",
        "def speedup(share, factor): return 7.0": "it should be",
    },
    "9.2": {
        "def part_of(n, world, rank): return list(range(n))[rank::world]": "equally many",
        "def part_of(n, world, rank): return list(range(n - n % world))[rank::world]": "left out",
        "def part_of(n, world, rank): k = -(-n // world); return (list(range(n)) * 2)[rank * k : rank * k + k]": "pieces",
        "def part_of(n, world, rank): return (list(range(n)) + [n - 1] * (-n % world))[rank::world]": "should get",
    },
    "9.3": {
        "def largest_batch(memory, weights, per_image): return int((memory - weights) // per_image)": "gradients",
        "def largest_batch(memory, weights, per_image): return int((memory - 2 * weights) // per_image)": "two means",
        "def largest_batch(memory, weights, per_image): return (memory - 4 * weights) / per_image": "round down",
        "def largest_batch(memory, weights, per_image): return 3 * int(memory // per_image)": "it should be",
    },
    "10.1": {
        "def tensors_in(path): return list(torch.load(path, weights_only=False))": "ran the code",
        "def tensors_in(path): return list(torch.load(path, weights_only=True))": "catch it",
        "def tensors_in(path): return 'refused'": "weights_only=True allows it",
        """def tensors_in(path):
    try:
        return list(torch.load(path, weights_only=True))
    except pickle.UnpicklingError:
        return "refused"
""": "plain value",
        """def tensors_in(path):
    try:
        return [k for k, v in torch.load(path, weights_only=True).items() if torch.is_tensor(v)]
    except pickle.UnpicklingError:
        return []
""": 'return "refused"',
    },
    "10.2": {
        "def quantize_weights(w): s = w.abs().max() / 127; return (w / s).round().to(torch.int8), s": "one scale for all",
        "def quantize_weights(w): s = w.amax(1) / 127; return (w / s[:, None]).round().to(torch.int8), s": "absolute",
        "def quantize_weights(w): s = w.abs().amax(1) / 128; return (w / s[:, None]).round().to(torch.int8), s": "127",
        "def quantize_weights(w): s = w.abs().amax(1) / 127; return (w / s[:, None]).round(), s": "torch.int8",
        "def quantize_weights(w): s = w.abs().amax(1) / 127; return (w / s[:, None]).to(torch.int8), s": "round first",
        "def quantize_weights(w): s = w.abs().amax(0) / 127; return (w / s).round().to(torch.int8), s": "2 scales",
    },
    "10.3": {
        "threshold_90, price = np.quantile(unsure, 0.1), 0.0": "quantile of 0.9",
        "threshold_90, price = 0.0, 0.0": "0 % of the pictures",
        "threshold_90 = np.quantile(unsure, 0.9); price = (confidence[right] >= threshold_90).mean()": "kept",
        "threshold_90 = np.quantile(unsure, 0.9); price = 12.3": "below it",
    },
    "11.1": {
        "def precision_recall(w, ranking, n): return w[ranking[:n]].sum() / w.sum(), w[ranking[:n]].sum() / n": "first",
        "def precision_recall(w, ranking, n): return w[:n].sum() / n, w[:n].sum() / w.sum()": "ranking",
        "def precision_recall(w, ranking, n): return w[ranking[:n]].sum() / n, w[ranking[:n]].sum() / len(w)": "Recall",
        "def precision_recall(w, ranking, n): return w[ranking[:n]].sum(), w[ranking[:n]].sum() / w.sum()": "a share",
    },
    "11.2": {
        "def conformal_set(p, threshold): return [k for k in range(len(p)) if 1 - p[k] > threshold]": "outside",
        "def conformal_set(p, threshold): return [k for k in range(len(p)) if 1 - p[k] <= threshold]": "comes first",
        "def conformal_set(p, threshold): return [k for k in np.argsort(-p) if 1 - p[k] < threshold]": "equal to the threshold",
        "def conformal_set(p, threshold): return np.argsort(-p)[:2].tolist()": "equal to the threshold",
    },
    "11.3": {
        "def groups(pairs): return [set(pair) for pair in pairs]": "of its own",
        "def groups(pairs):\n    found = []\n    for pair in pairs:\n        for group in found:\n"
        "            if group & set(pair):\n                group |= set(pair)\n                break\n"
        "        else:\n            found.append(set(pair))\n    return found": "two groups",
    },
}


def exercises(path) -> dict[str, tuple[str, str]]:
    """Number -> (the cell to fill in, the code of the solution below it)."""
    cells = nbformat.read(path, as_version=4).cells
    found = {}
    for cell, after in itertools.pairwise(cells):
        number = re.search(r'^check\("([\d.]+)"', cell.source, re.M) if cell.cell_type == "code" else None
        if number:
            found[number[1]] = cell.source, re.search(r"<details>.*?```python\n(.*?)```", after.source, re.S)[1]
    return found


WITH_EXERCISES = [path for path in NOTEBOOKS if exercises(path)]


def said(code: str, namespace: dict) -> str:
    """The last line that the code prints."""
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        exec(code, namespace)
    return stream.getvalue().splitlines()[-1]


@pytest.fixture
def few_epochs(monkeypatch):
    """The answers do not depend on how well the networks of the notebook are trained: one epoch is enough."""

    def short(model, batches, criterion, optimizer, num_epochs, **options):
        large = sum(p.numel() for p in model.parameters()) > 10_000
        return train_model(model, batches, criterion, optimizer, min(num_epochs, 1) if large else num_epochs, **options)

    for module in (training, train):
        monkeypatch.setattr(module, "train_model", short)


@pytest.mark.parametrize("path", WITH_EXERCISES, ids=lambda path: path.stem)
def test_every_exercise_answers_the_stub_the_mistakes_and_the_solution(path, tmp_path, monkeypatch, few_epochs):
    seven = zip(("1", "10", "11", "2", "3", "4", "5"), itertools.cycle(COLOURS.values()), strict=False)
    data = make_data(tmp_path / "data", dict(seven), train=6, valid=2)  # of three colours: nobody can get all of them right
    (data / "train" / "2" / "00.png").unlink()  # a class with fewer images than the others
    monkeypatch.setenv("FLOWER_DATA", str(data))
    monkeypatch.chdir(path.parent)
    monkeypatch.setattr(plt, "show", plt.close)
    matplotlib.use("Agg")
    namespace: dict = {"__name__": "__main__"}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            exec(re.sub(r"^EPOCHS = \d+$", "EPOCHS = 1", cell.source, flags=re.M), namespace)
    for number, (stub, solution) in exercises(path).items():
        ask = stub[re.search(r"^check\(", stub, re.M).start() :]
        assert said(stub, namespace).startswith(f"Exercise {number}: not answered yet.")
        assert len(MISTAKES[number]) >= 2
        for mistake, word in MISTAKES[number].items():
            answer = said(f"{mistake}\n{ask}", namespace)
            assert answer.startswith(f"Exercise {number}: not right yet.") and word in answer, (mistake, answer)
            assert "raised Hint" not in answer
        assert said(f"{solution}\n{ask}", namespace).startswith(f"Exercise {number}: right."), number


def test_every_judge_has_its_exercise():
    assert JUDGES.keys() == MISTAKES.keys() == {number for path in NOTEBOOKS for number in exercises(path)}
    for path in WITH_EXERCISES:
        assert [number.split(".")[0] for number in exercises(path)] == [str(int(path.stem[:2]))] * len(exercises(path))


def test_an_error_in_the_answer_is_reported_not_raised(capsys):
    check("1.2", lambda *_: 1 / 0)
    assert "not right yet. Your code raised ZeroDivisionError: division by zero" in capsys.readouterr().out


@pytest.mark.parametrize("stub", [lambda *_: None, lambda *_: ...])
def test_a_function_that_returns_nothing_is_no_answer(capsys, stub):
    check("1.2", stub)
    assert "not answered yet" in capsys.readouterr().out
    with pytest.raises(NotAnswered):
        call(stub)
