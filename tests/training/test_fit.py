"""Laws of the training loop: it learns, it repeats itself, it keeps the best weights, it is silent."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from gmtools.training import History, _minibatches, fit


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def regression(n=200, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=generator)
    y = x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.7 + 0.1 * torch.randn(n, 1, generator=generator)
    return x, y


def squared_error(model):
    return lambda x, y: (model(x) - y).square().mean()


def linear(seed=0):
    torch.manual_seed(seed)
    return nn.Linear(3, 1)


def flat(module):
    return torch.cat([p.detach().reshape(-1) for p in module.parameters()])


def test_full_batches_reach_the_closed_form_of_least_squares():
    x, y = regression()
    model = linear()
    fit(model, squared_error(model), (x, y), steps=3000, batch_size=1000, lr=0.02)
    design = torch.cat([x, torch.ones(len(x), 1)], 1)
    solution = torch.linalg.lstsq(design, y).solution.reshape(-1)
    torch.testing.assert_close(flat(model), solution, atol=1e-6, rtol=0)


def test_data_may_be_one_tensor_or_none():
    target = torch.tensor([1.0, 2.0])
    for data in (None, target.expand(10, 2)):
        model = nn.Linear(1, 2)

        def loss(batch=target, model=model):
            return (model(torch.zeros(1)) - batch).square().sum(-1).mean()

        fit(model, loss, data, steps=600, lr=0.05)
        torch.testing.assert_close(model.bias.detach(), target, atol=1e-3, rtol=0)


def run(seed, caller_seed=0, **options):
    x, y = regression()
    model = linear()
    torch.manual_seed(caller_seed)
    history = fit(model, squared_error(model), (x, y), steps=40, batch_size=16, seed=seed, **options)
    return history, flat(model)


def test_the_seed_decides_everything_and_leaves_the_callers_generator_alone():
    first, second = run(seed=3), run(seed=3, caller_seed=99)
    assert first[0].loss == second[0].loss and torch.equal(first[1], second[1])
    assert run(seed=4)[0].loss != first[0].loss
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    model = linear()
    torch.manual_seed(5)
    fit(model, squared_error(model), regression(), steps=3)
    assert torch.equal(torch.rand(3), expected)


def test_without_a_seed_the_callers_generator_decides():
    assert run(None, caller_seed=1)[0].loss == run(None, caller_seed=1)[0].loss
    assert run(None, caller_seed=1)[0].loss != run(None, caller_seed=2)[0].loss


def test_watching_held_out_data_does_not_change_the_training():
    alone, watched = run(seed=0)[0], run(seed=0, held_out=regression(seed=1), evaluate_every=7)[0]
    assert alone.loss == watched.loss
    assert watched.held_out_steps == [7, 14, 21, 28, 35, 40]


def test_every_row_is_seen_once_in_an_epoch():
    rows = torch.arange(12)
    stream = _minibatches((rows, 10 * rows), 4)
    for _ in range(3):
        epoch = [next(stream) for _ in range(3)]
        assert sorted(torch.cat([a for a, _ in epoch]).tolist()) == rows.tolist()
        assert all(torch.equal(10 * a, b) for a, b in epoch)


def test_incomplete_batches_are_left_out_but_every_row_comes_up():
    stream = _minibatches((torch.arange(10),), 4)
    batches = [next(stream)[0] for _ in range(60)]
    assert {len(b) for b in batches} == {4}
    assert set(torch.cat(batches).tolist()) == set(range(10))


def overfit(**options):
    """Thirty noisy labels and a wide network: held-out loss falls, then rises."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(30, 2, generator=generator)
    y = x[:, :1] + torch.randn(30, 1, generator=generator)
    x_new = torch.randn(500, 2, generator=generator)
    y_new = x_new[:, :1] + torch.randn(500, 1, generator=generator)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 128), nn.Tanh(), nn.Linear(128, 1))
    loss = squared_error(model)
    history = fit(
        model, loss, (x, y), held_out=(x_new, y_new), lr=0.01, batch_size=30, evaluate_every=20, **options
    )
    return history, loss(x_new, y_new).item()


def test_early_stopping_restores_the_best_weights():
    history, value = overfit(steps=3000, patience=5)
    assert len(history.loss) < 3000
    best = min(history.held_out)
    assert history.held_out[-1] > best
    assert history.held_out_steps[history.held_out.index(best)] == history.best_step
    assert len(history.held_out) == 1 + history.held_out.index(best) + 5
    assert value == pytest.approx(best, rel=1e-12)


def test_without_patience_all_steps_run_and_the_best_weights_are_kept():
    history, value = overfit(steps=400)
    assert len(history.loss) == 400
    assert value == pytest.approx(min(history.held_out), rel=1e-12)


def test_held_out_loss_is_the_mean_over_all_rows():
    torch.manual_seed(0)
    x = torch.randn(2048 + 700, 1)
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-300)
    history = fit(
        model, lambda x: (model(x) - 1).square().mean(), x, steps=1, held_out=x, optimizer=optimizer
    )
    assert history.held_out[0] == pytest.approx((model(x) - 1).square().mean().item(), rel=1e-12)


def test_stochastic_losses_are_evaluated_with_the_same_noise():
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-300)
    history = fit(
        model,
        lambda x: (model(x) + torch.randn(len(x), 1)).square().mean(),
        torch.ones(8, 1),
        steps=6,
        held_out=torch.ones(8, 1),
        evaluate_every=2,
        optimizer=optimizer,
    )
    assert len(set(history.held_out)) == 1
    assert len(set(history.loss)) == 6


def test_evaluation_uses_evaluation_mode_and_training_uses_training_mode():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    modes = []

    def loss(x):
        modes.append(model.training)
        return model(x).square().mean()

    fit(model, loss, torch.ones(8, 2), steps=2, held_out=torch.ones(4, 2), evaluate_every=1)
    assert modes == [True, False, True, False]
    assert not model.training


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_names_its_step_and_spares_the_weights(bad):
    model, seen = nn.Linear(1, 1), []

    def loss(x):
        seen.append(flat(model).clone())
        return model(x).square().mean() * (bad if len(seen) == 5 else 1.0)

    with pytest.raises(FloatingPointError, match=rf"loss is {bad} at step 5"):
        fit(model, loss, torch.ones(3, 1), steps=10)
    assert torch.equal(flat(model), seen[-1])


def test_bfloat16_autocast_reaches_the_loss_and_leaves_weights_in_full_precision():
    model = nn.Linear(3, 1).float()
    kinds = set()

    def loss(x, y):
        prediction = model(x)
        kinds.add(prediction.dtype)
        return (prediction.float() - y).square().mean()

    x, y = (t.float() for t in regression())
    history = fit(model, loss, (x, y), steps=300, lr=0.05, device="cpu", mixed_precision=True)
    assert kinds == {torch.bfloat16} and model.weight.dtype == torch.float32
    assert history.loss[-1] < 0.05


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_and_cpu_learn_the_same_and_the_module_comes_home():
    results = []
    for device in ("cpu", "cuda"):
        model = linear()
        options = dict(steps=50, device=device, mixed_precision=False)
        history = fit(model, squared_error(model), regression(), **options)
        assert model.weight.device.type == "cpu"
        results.append(torch.tensor(history.loss))
    torch.testing.assert_close(*results, atol=1e-8, rtol=1e-8)
    constant = torch.zeros(1)  # a loss that only works on the CPU is trained there
    fit(model, lambda x, y: (model(x) - y + constant.expand(len(x), 1)).square().mean(), regression())


def test_optimizer_of_ones_own():
    model = linear()
    before = flat(model).clone()
    x, y = regression()
    gradient = torch.autograd.grad(squared_error(model)(x, y), list(model.parameters()))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    fit(model, squared_error(model), (x, y), steps=1, batch_size=1000, optimizer=optimizer)
    expected = before - 0.1 * torch.cat([g.reshape(-1) for g in gradient])
    torch.testing.assert_close(flat(model), expected)


BAD = [
    (dict(steps=0), "steps is 0"),
    (dict(batch_size=0), "batch_size is 0"),
    (dict(lr=-1.0), "lr has shape"),
    (dict(evaluate_every=0), "evaluate_every is 0"),
    (dict(patience=3), "held_out is None"),
    (dict(data=(torch.zeros(3), torch.zeros(4))), r"data has first dimensions \[3, 4\]"),
    (dict(data=torch.zeros(0, 3)), r"data has first dimensions \[0\]"),
    (
        dict(data=torch.zeros(4, 3).numpy()),
        "data is of <class 'numpy.ndarray'>, expected a tensor or a tuple of tensors",
    ),
    (dict(data=(torch.zeros(4), [0] * 4)), "data is of <class 'tuple'>, expected"),
    (dict(held_out=4), "held_out is of <class 'int'>, expected"),
    (dict(held_out=()), r"held_out has first dimensions \[\]"),
]


@pytest.mark.parametrize("arguments, message", BAD)
def test_bad_arguments_are_named(arguments, message):
    model = linear()
    arguments = {"data": torch.zeros(4, 3), **arguments}
    with pytest.raises(ValueError, match=message):
        fit(model, lambda x: model(x).mean(), **arguments)


def test_a_loss_must_be_a_scalar():
    model = linear()
    with pytest.raises(ValueError, match=r"loss returned a value of shape \(4, 1\)"):
        fit(model, model, torch.zeros(4, 3), steps=1)
    with pytest.raises(ValueError, match="type float"):
        fit(model, lambda x: 1.0, torch.zeros(4, 3), steps=1)


def test_fit_writes_nothing_where_nobody_watches():
    code = (
        "import torch\nfrom torch import nn\nfrom gmtools.training import fit\n"
        "import sys\nassert 'matplotlib' not in sys.modules\n"
        "m = nn.Linear(1, 1)\nfit(m, lambda x: m(x).square().mean(), torch.ones(9, 1), steps=20)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("progress", [True, False])
def test_a_terminal_gets_a_bar_if_it_wants_one(progress, capsys, monkeypatch):
    model = linear()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fit(model, squared_error(model), regression(), steps=5, progress=progress)
    assert bool(capsys.readouterr().err) == progress


def test_history_plots_itself():
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    history = History([3.0, 2.0, 1.0], [2.5, 1.5], [2, 3], 3, 0.1)
    ax = history.plot()
    train, held_out = ax.get_lines()[:2]
    assert train.get_ydata().tolist() == history.loss and list(held_out.get_xdata()) == [2, 3]
    assert History([1.0]).plot(ax) is ax
    plt.close("all")


def test_a_history_shows_itself_in_one_line_without_times():
    assert repr(History()) == "History(0 steps)"
    assert repr(History([3.0, 2.5], seconds=1.7)) == "History(2 steps, loss 2.5)"
    stopped = History([3.0, 2.0, 1.0], [1.5, 2.5], [2, 3], 2, 0.1)
    assert repr(stopped) == "History(3 steps, loss 1, held out 1.5 at step 2)"
